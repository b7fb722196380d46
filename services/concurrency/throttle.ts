import pThrottle from 'p-throttle'
import { positive, timer } from '../options.js'
import { checkOptions } from './work.js'

export interface ThrottleOptions {
  /**
   * Runs that begin within any `interval` at most.
   * @default 1
   */
  limit?: number
}

/** Every call runs, but later: within any `interval` ms no more than `limit` begin. */
export type Throttle = <A extends unknown[], R>(fn: (...args: A) => Promise<R> | R, interval: number, options?: ThrottleOptions) => (...args: A) => Promise<R>

/** @param closing ends the calls that wait, and refuses all later ones, with its reason */
export function createThrottle (closing: AbortSignal): Throttle {
  return (fn, interval, { limit = 1, ...unknown } = {}) => {
    checkOptions({ interval, limit, ...unknown }, { interval: timer, limit: positive('runs') }, 'throttle')
    const throttled = pThrottle({ limit, interval, strict: true, ...(closing.aborted ? {} : { signal: closing }) })(async (...args: Parameters<typeof fn>) => await fn(...args))
    return async (...args) => {
      closing.throwIfAborted() // p-throttle runs what is called after its signal
      return await throttled(...args)
    }
  }
}
