import type { Cluster, Redis } from 'ioredis'
import type { Attempt, LockBackend } from '../backend.js'
import { textOf } from '../names.js'
import { openRequestPath } from '../../redis/connection.js'
import { createSubscriber, openSubscriber } from '../../redis/subscriber.js'
import type { Log } from '../../log.js'
import { createHold, driftOf } from './hold.js'
import { isLockedIn } from './is-locked.js'
import { createNode } from './node.js'
import { createQuorum } from './quorum.js'
import { createSingle } from './single.js'

export interface RedisBackendOptions {
  /** 1, 3 or 5 that know nothing of each other; a Cluster or what Sentinels watch is one. Connections of our own are opened to where they point. */
  redis: ReadonlyArray<Redis | Cluster>
  /** Keys are `<prefix>:{locks}:<name>`: one hash tag, because the names of one lock must be in one slot of a Cluster. */
  prefix: string
  log: Log
}

export interface RedisBackend extends LockBackend {
  isLocked: (name: string) => Promise<boolean>
}

/**
 * Locks that end with their ttl. An uncontended one costs two commands a node. What Redis forgets, or gives to another one while this process is
 * paused, it cannot protect: docs/locks.md.
 */
export async function openRedisBackend ({ redis, prefix, log }: RedisBackendOptions): Promise<RedisBackend> {
  const connections = await Promise.all(redis.map((client) => openRequestPath(client, (err) => { log.warn({ err }, 'a Redis connection of the locks broke') })))
  const nodes = connections.map(createNode)
  const voters = nodes.length === 1 ? createSingle(first(nodes)) : createQuorum(nodes)
  const keyOf = (name: string): string => `${prefix}:{locks}:${name}`
  // Every node is told of a release: one that serves will do, and looking now and then is the net.
  const subscribed = (): Redis | Cluster => connections.find(({ status }) => status === 'ready') ?? first(connections)
  const subscriber = createSubscriber(() => openSubscriber(subscribed()))

  return {
    name: 'redis',
    isLocked: (name) => isLockedIn(nodes, name, keyOf(textOf(name))),
    async attempt (names, ttl): Promise<Attempt> {
      const keys = names.map(keyOf)
      const start = performance.now()
      const answer = await voters.acquire(keys, ttl)
      if (answer.vote === 'unavailable') return { outcome: 'unavailable', cause: answer.cause }
      if (answer.vote === 'refused') return { outcome: 'busy' }
      const validUntil = start + ttl - driftOf(ttl)
      const { value } = answer
      if (performance.now() < validUntil) return { outcome: 'granted', hold: createHold({ voters, keys, value, ttl, validUntil }) }
      await voters.release(keys, value)
      return { outcome: 'unavailable', cause: new Error(`Redis took longer to grant the lock than its ttl of ${ttl} ms`) }
    },
    async subscribe (names, wake) {
      const { keyPrefix = '' } = first(connections).options
      const ends = await Promise.allSettled(names.map((name) => subscriber.subscribe(keyPrefix + keyOf(name), wake)))
      const end = (): void => { for (const result of ends) if (result.status === 'fulfilled') result.value() }
      const failed = ends.find((result) => result.status === 'rejected')
      if (failed === undefined) return end
      end()
      throw failed.reason
    },
    async close () {
      subscriber.close()
      for (const connection of connections) connection.disconnect()
    }
  }
}

function first<T> (list: readonly T[]): T {
  const [item] = list
  if (item === undefined) throw new TypeError('Redis locks need a client')
  return item
}
