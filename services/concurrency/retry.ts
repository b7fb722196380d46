import { abortSignal, fn as aFunction, positive, timer } from '../options.js'
import type { Rules } from '../options.js'
import { pause } from '../pause.js'
import { abortedError, FST_CONCURRENCY_CLOSED } from './errors.js'
import { checkOptions } from './work.js'

export interface RetryOptions {
  /**
   * Runs at most, with the first one.
   * @default 5
   */
  attempts?: number
  /**
   * Bound of the first delay, ms. Each further bound is twice the one before.
   * @default 100
   */
  minDelay?: number
  /**
   * No delay is longer, ms.
   * @default 10_000
   */
  maxDelay?: number
  /** Cuts a delay at once, and begins no further run. A run gets it too. */
  signal?: AbortSignal
  /**
   * Whether a failure may be repeated.
   * @default () => true
   */
  shouldRetry?: (error: unknown, attempt: number) => boolean
}

export interface RetryDeps {
  /** Aborts when the server closes: a run under way is left to end, and is the last one. */
  closing: AbortSignal
  random?: () => number
}

export interface Attempt {
  /** From 1 on. */
  attempt: number
  signal: AbortSignal
}

/**
 * Runs until there is a success, with delays from 0 to a bound that doubles ("full jitter": many that failed together come back apart).
 *
 * @throws the failure of the last run, FST_CONCURRENCY_ABORTED, FST_CONCURRENCY_CLOSED
 */
export type Retry = <T>(run: (attempt: Attempt) => Promise<T> | T, options?: RetryOptions) => Promise<T>

const rules: Rules<RetryOptions> = {
  attempts: positive('runs'),
  minDelay: timer,
  maxDelay: timer,
  signal: abortSignal,
  shouldRetry: aFunction
}

export function createRetry ({ closing, random = Math.random }: RetryDeps): Retry {
  return async (run, options = {}) => {
    checkOptions(options, rules, 'retry')
    const { attempts = 5, minDelay = 100, maxDelay = 10_000, shouldRetry = () => true } = options
    const signals = options.signal === undefined ? [closing] : [closing, options.signal]
    let failure: unknown
    for (let attempt = 1; ; attempt++) {
      if (attempt > 1 && closing.aborted) throw Object.assign(new FST_CONCURRENCY_CLOSED('retry'), { cause: failure })
      if (options.signal?.aborted === true) throw abortedError('retry', options.signal)
      try {
        return await run({ attempt, signal: options.signal ?? neverAborted })
      } catch (error) {
        if (attempt >= attempts || !shouldRetry(error, attempt)) throw error
        failure = error
      }
      await pause(random() * Math.min(maxDelay, minDelay * 2 ** (attempt - 1)), signals)
    }
  }
}

const neverAborted = new AbortController().signal
