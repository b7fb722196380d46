import { abortSignal, between, boolean, invalidOption, longestTimer, oneOf } from '../options.js'
import type { Rules } from '../options.js'
import { FST_LOCKS_USAGE } from './errors.js'

export interface LockOptions {
  /**
   * How long the lock outlives a process that died or was cut off, ms. While its holder lives it is extended. Of Redis locks.
   * @default 10_000
   */
  ttl?: number
  /**
   * How long a busy lock is waited for, ms. 0 asks once.
   * @default 5_000
   */
  wait?: number
  /**
   * Between two looks at a busy lock at most, ms. They are the net under the wake-up by its release.
   * @default 500
   */
  interval?: number
  /** Ends the wait. The lock, once granted, has a signal of its own. */
  signal?: AbortSignal
  /**
   * Take a token that grows with every grant. Needs Postgres.
   * @default false
   */
  fencing?: boolean
  /** @default 'redis', and 'postgres' where there is no Redis */
  backend?: 'redis' | 'postgres'
}

export const lockDefaults = Object.freeze({ ttl: 10_000, wait: 5_000 })

/** A shorter ttl would be over before a slow node has answered the extension. */
export const ttlRule = between(100, longestTimer, 'ms')
export const waitRule = between(0, longestTimer, 'ms')
export const backendRule = oneOf('redis', 'postgres')
/** More often would be a load and no net. */
export const intervalRule = between(5, longestTimer, 'ms')
const rules: Rules<LockOptions> = { ttl: ttlRule, wait: waitRule, interval: intervalRule, signal: abortSignal, fencing: boolean, backend: backendRule }

/** Throws FST_LOCKS_USAGE. */
export function checkLockOptions (options: LockOptions): void {
  const problem = invalidOption(options, rules)
  if (problem !== null) throw new FST_LOCKS_USAGE(problem)
}
