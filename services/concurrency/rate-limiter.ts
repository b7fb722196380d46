import { createHash } from 'node:crypto'
import type { Cluster, Redis } from 'ioredis'
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import type { RateLimiterAbstract } from 'rate-limiter-flexible'
import { between, matching } from '../options.js'
import { FST_CONCURRENCY_LIMITER_UNAVAILABLE, FST_CONCURRENCY_RATE_LIMITED } from './errors.js'
import { createConsumer } from './redis-consumer.js'
import { checkOptions } from './work.js'

export interface LimiterOptions {
  /** What may be consumed within one window. */
  points: number
  /** Length of a window, ms. It begins with the first use of a key. */
  duration: number
  /**
   * When Redis cannot be had: each instance counts for itself (`'local'`: n instances allow n times the points), or all is refused.
   * @default 'local'
   */
  onStoreFailure?: 'local' | 'reject'
}

export interface LimiterSettings extends LimiterOptions {
  /** How errors call it: `limiter api`. */
  name: string
  /** Counts for all instances. Without it each one counts for itself. */
  redis?: Redis | Cluster
  /** Keys in Redis are `<prefix>:<hash of the key>`: a key may be an address or a user. */
  prefix: string
  /** How long Redis is waited for, ms. */
  storeTimeout: number
  onRejected?: () => void
  /** Called when Redis fails, and with null when it is back. */
  onStoreState?: (failure: unknown) => void
}

export interface Quota {
  limit: number
  remaining: number
  /** Until the window ends, ms. */
  resetAfter: number
}

export interface RateLimiter {
  /**
   * Takes points of the key's window. What was refused is not given back before the window ends.
   *
   * @throws FST_CONCURRENCY_RATE_LIMITED with `retryAfter` in ms and the quota, FST_CONCURRENCY_LIMITER_UNAVAILABLE,
   * FST_CONCURRENCY_OPTION_INVALID for a key that is no string
   */
  consume: (key: string, points?: number) => Promise<Quota>
  limit: number
  /** ms */
  duration: number
}

export type RateLimitedError = InstanceType<typeof FST_CONCURRENCY_RATE_LIMITED> & Quota & { retryAfter: number }

export function createRateLimiter (settings: LimiterSettings): RateLimiter {
  const { name, points: limit, duration, onRejected } = settings
  const rules = { key: matching(/^/, 'a string'), points: between(1, limit, 'points') }
  const ask = createAsk(settings)
  const quotaOf = ({ remainingPoints, msBeforeNext }: RateLimiterRes): Quota => ({ limit, remaining: remainingPoints, resetAfter: Math.max(0, msBeforeNext) })
  return {
    limit,
    duration,
    async consume (key, points = 1) {
      checkOptions({ key: key ?? null, points }, rules, name) // NaN would pass for ever, and what is no text for an outage of Redis
      try {
        return quotaOf(await ask(key, points))
      } catch (error) {
        if (!(error instanceof RateLimiterRes)) throw error
        onRejected?.()
        const quota = quotaOf(error)
        throw Object.assign(new FST_CONCURRENCY_RATE_LIMITED(name), quota, { retryAfter: quota.resetAfter })
      }
    }
  }
}

/** Rejects with a RateLimiterRes, which is no Error, when there are too few points. */
type Ask = (key: string, points: number) => Promise<RateLimiterRes>

function createAsk ({ name, points, duration, redis, prefix, storeTimeout, onStoreFailure = 'local', onStoreState }: LimiterSettings): Ask {
  const local = new RateLimiterMemory({ points, duration: duration / 1_000, keyPrefix: prefix })
  if (redis === undefined) return (key, cost) => local.consume(key, cost)
  const { client, script } = createConsumer(redis, storeTimeout)
  // It believes that the duration is in seconds and makes an integer of them: our script takes it for milliseconds.
  const shared: RateLimiterAbstract = new RateLimiterRedis({ storeClient: client, points, duration, keyPrefix: prefix, customIncrTtlLuaScript: script })
  let failed = false
  const tell = (failure: unknown): void => {
    if (failed !== (failure !== null)) onStoreState?.(failure)
    failed = failure !== null
  }
  return async (key, cost) => {
    try {
      const result = await shared.consume(hashOf(key), cost)
      tell(null)
      return result
    } catch (error) {
      if (error instanceof RateLimiterRes) tell(null)
      if (error instanceof RateLimiterRes) throw error
      tell(error)
      if (onStoreFailure === 'reject') throw Object.assign(new FST_CONCURRENCY_LIMITER_UNAVAILABLE(name), { cause: error })
      return await local.consume(key, cost)
    }
  }
}

/** 128 bits of SHA-256: nobody's address or name is to be read in Redis, and no two share their points. */
function hashOf (key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 32)
}
