import type { Cluster, Redis } from 'ioredis'
import type { Claim, ClaimResult, StoredRecord } from '../record.js'
import type { IdempotencyStore } from '../store.js'
import { untilEnded } from '../wait.js'
import { answered } from './redis-deadline.js'
import { complete, extend, look, release, takeOver } from './redis-scripts.js'
import type { Script } from './redis-scripts.js'
import { decode, encodeClaim, encodeFinished, isRunning, leaseLeft } from './redis-value.js'

export interface RedisStoreOptions {
  /** A connection made for the request path: see redis-connection.ts. It stays the caller's to close. */
  redis: Redis | Cluster
  /** Keys are `<prefix>:<id>`. */
  prefix: string
}

/** Methods that ioredis has and its types leave out. */
type WithBufferScripts<T> = T & Record<'evalshaBuffer' | 'evalBuffer', (script: string, keys: number, ...args: Array<string | number | Buffer>) => Promise<unknown>>

/** A first request costs two commands (claim, complete), a replay one. Needs Redis or Valkey ≥ 7 for SET with NX and GET. */
export function createRedisStore ({ redis, prefix }: RedisStoreOptions): IdempotencyStore {
  const keyOf = (id: string): string => `${prefix}:${id}`
  const run = (script: Script, id: string, ...args: Array<string | number | Buffer>): Promise<unknown> => evaluate(redis, script, keyOf(id), args)

  const claimAnew = async (claim: Claim): Promise<ClaimResult> => {
    const [value, number] = await run(takeOver, claim.id, encodeClaim(claim), claim.retention) as [Buffer, number]
    return value.length === 0 ? { state: 'claimed', recovered: number === 1 } : decode(value, number)
  }
  const get = async (id: string): Promise<StoredRecord | null> => {
    const found = await run(look, id) as [Buffer, number] | null
    return found === null ? null : decode(found[0], leaseLeft(...found))
  }

  return {
    async claim (claim) {
      const value = await answered(redis.setBuffer(keyOf(claim.id), encodeClaim(claim), 'PX', claim.retention, 'NX', 'GET'))
      if (value === null) return { state: 'claimed', recovered: false }
      return isRunning(value) ? await claimAnew(claim) : decode(value, 0)
    },
    extend: async (claims) => await Promise.all(claims.map(async ({ id, token, retention }) => await run(extend, id, token, retention) === 1)),
    async complete (claim, response) {
      return await run(complete, claim.id, encodeFinished(claim, response), claim.retention) === 1
    },
    async release ({ id, token }) {
      return await run(release, id, token) === 1
    },
    get,
    waitFor: (id, token, signal) => untilEnded({ get }, id, token, signal)
  }
}

/**
 * EVALSHA, and EVAL once after the server's script cache was emptied (restart, failover, SCRIPT FLUSH). Commands go by their own methods:
 * `call` of ioredis 6.0.0 loses the command's name under auto-pipelining.
 */
async function evaluate (redis: Redis | Cluster, { sha, source }: Script, key: string, args: Array<string | number | Buffer>): Promise<unknown> {
  const client = redis as WithBufferScripts<Redis | Cluster>
  try {
    return await answered(client.evalshaBuffer(sha, 1, key, ...args))
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
    return await answered(client.evalBuffer(source, 1, key, ...args))
  }
}
