import type { Cluster, Redis } from 'ioredis'
import type { Claim, ClaimResult, StoredRecord, StoredResponse } from '../record.js'
import type { Kind } from './redis-batches.js'
import { isWrongType } from './redis-outage.js'
import { createGeneration } from './redis-generation.js'
import type { Renewal } from './redis-generation.js'
import { codes, verbs } from './redis-scripts.js'
import { createSubscriber, openSubscriber } from '../../redis/subscriber.js'
import { createTransport } from './redis-transport.js'
import { decode, encodeClaim, encodeFinished } from './redis-value.js'

export { GenerationChanged, isGenerationChanged } from './redis-generation.js'

/** `other`: another attempt holds or finished the key, or this attempt finished it. */
export type Held = 'held' | 'other' | 'missing'

/** One Redis as it is: every call rejects when Redis cannot be had, and with GenerationChanged when Redis has lost what it knew. */
export interface RedisLink {
  claim: (claim: Claim) => Promise<ClaimResult>
  /** Does not make missing ones again. */
  extend: (claims: readonly Claim[]) => Promise<Held[]>
  complete: (claim: Claim, response: StoredResponse | null) => Promise<Held>
  release: (claim: Claim) => Promise<Held>
  get: (id: string) => Promise<StoredRecord | null>
  /** Calls `wake` when the key was completed or released, and after a reconnect. Resolves once subscribed, with what ends it. */
  subscribe: (id: string, wake: () => void) => Promise<() => void>
  /** Makes sure that Redis answers and still has our generation. */
  probe: () => Promise<void>
  /**
   * Reads the generation, or makes one where there is none, and goes on with it. Every process calls it before its first other call, which is
   * rejected with GenerationChanged else. Calls at the same time share one answer.
   */
  renew: () => Promise<Renewal>
  /**
   * Starts a new generation, so that every other process notices at its next call, and leaves a note for `duration` ms that records may be
   * missing here. An earlier note that stands longer is kept.
   */
  announce: (duration: number) => Promise<void>
  /** Closes what was opened here: the subscriber. */
  close: () => Promise<void>
}

export interface RedisLinkOptions {
  /** A connection made for the request path: see services/redis/connection.ts. It stays the caller's to close, and its end closes the subscriber too. */
  redis: Redis | Cluster
  /** Keys are `<prefix>:<id>`, `<prefix>:generation` and `<prefix>:recovery`. */
  prefix: string
  /** Opens the connection for SUBSCRIBE, at the first call. Default: a duplicate of `redis`; a Cluster client has one of its own. */
  subscriber?: () => Redis | Cluster
  /** Called at once when the socket was closed. */
  onConnectionLost?: () => void
}

const granted: ClaimResult = Object.freeze({ state: 'claimed', recovered: false })
const recovered: ClaimResult = Object.freeze({ state: 'claimed', recovered: true })

const claiming: Kind<ClaimResult> = { fine: granted, exception: (code, value) => code === codes.recovered ? recovered : decode(value, code) }
const holding: Kind<Held> = { fine: 'held', exception: (code) => code === codes.missing ? 'missing' : 'other' }
const getting: Kind<StoredRecord | null> = { fine: null, exception: (code, value) => decode(value, code) }

/** What another program has written over our key is its own affair: the claim is lost, and those that were to be extended with it are not. */
function lostToAnotherType (error: unknown): Held {
  if (isWrongType(error)) return 'other'
  throw error
}

/**
 * Needs Redis or Valkey ≥ 7. A first request costs two operations (claim, complete), a replay one, and the operations of one turn of the event
 * loop are one script call. In Cluster each is a call of its own, and the generation is not compared: the keys of one call would have to share a slot.
 */
export function createRedisLink ({ redis, prefix, subscriber: open = () => openSubscriber(redis), onConnectionLost }: RedisLinkOptions): RedisLink {
  const keyOf = (id: string): string => `${prefix}:${id}`
  const generation = createGeneration(redis, prefix)
  const { send, run } = createTransport(redis, generation)
  const subscriber = createSubscriber(() => {
    redis.once('end', close)
    return open()
  })
  const close = (): void => {
    redis.off('end', close)
    if (onConnectionLost !== undefined) redis.off('close', onConnectionLost)
    subscriber.close()
  }
  if (onConnectionLost !== undefined) redis.on('close', onConnectionLost)

  return {
    claim: (claim) => run(claiming, keyOf(claim.id), encodeClaim(claim), claim.retention),
    extend: (claims) => Promise.all(claims.map(({ id, token, retention }) => run(holding, keyOf(id), verbs.extend + token, retention).catch(lostToAnotherType))),
    complete: (claim, response) => run(holding, keyOf(claim.id), encodeFinished(claim, response), claim.retention),
    release: ({ id, token }) => run(holding, keyOf(id), verbs.release + token, 0),
    get: (id) => run(getting, keyOf(id), verbs.get, 0),
    subscribe: (id, wake) => subscriber.subscribe(`${redis.options.keyPrefix ?? ''}${keyOf(id)}`, wake),
    async probe () { await send([], []) },
    renew: generation.renew,
    announce: generation.announce,
    async close () { close() }
  }
}
