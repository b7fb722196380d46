import { abortSignal, between, boolean, either, invalidOption, longestTimer, timer } from '../options.js'
import type { Rule, Rules } from '../options.js'
import { FST_CONCURRENCY_CLOSED, FST_CONCURRENCY_OPTION_INVALID, FST_CONCURRENCY_OVERDUE } from './errors.js'

export interface RunOptions {
  /**
   * How long a turn is waited for, ms. 0 does not wait, Infinity waits for ever.
   * @default 30_000
   */
  timeout?: number
  /** Ends the wait. The work gets it too. */
  signal?: AbortSignal
  /** How long the work may take, ms: then its signal aborts. The turn stays taken until it has ended all the same. */
  maxExecution?: number
  /**
   * Go on while the server closes, until the accepted requests are answered. False ends the wait when it begins to close: for work that no request waits for.
   * @default true
   */
  whileClosing?: boolean
}

export type Work<T> = (signal: AbortSignal) => Promise<T> | T

export const defaultTimeout = 30_000

const forEver: Rule = { expected: 'Infinity', accepts: (value) => value === Infinity }

export const runRules: Rules<RunOptions> = {
  timeout: either(between(0, longestTimer, 'ms'), forEver),
  signal: abortSignal,
  maxExecution: timer,
  whileClosing: boolean
}

/** Throws FST_CONCURRENCY_OPTION_INVALID for options of one call that are unknown or wrong. */
export function checkOptions (options: object, rules: Record<string, Rule>, name: string): void {
  const problem = invalidOption(options, rules)
  if (problem !== null) throw new FST_CONCURRENCY_OPTION_INVALID(`${name}: ${problem}`)
}

/** What a lock or a semaphore lets in: everything, what goes on while the server closes, or nothing. */
export type Door = 'open' | 'draining' | 'closed'

/** Throws FST_CONCURRENCY_CLOSED. */
export function checkDoor (door: Door, { whileClosing = true }: RunOptions, name: string): void {
  if (door === 'closed' || (door === 'draining' && !whileClosing)) throw new FST_CONCURRENCY_CLOSED(name)
}

const neverAborted = new AbortController().signal

/** Runs the work with a signal that aborts with the caller's, and when it takes too long. Resolves when the work has ended, and not before. */
export function runWithin<T> (work: Work<T>, options: RunOptions, name: string): Promise<T> | T {
  return options.maxExecution === undefined ? work(options.signal ?? neverAborted) : runUntil(work, options, options.maxExecution, name)
}

async function runUntil<T> (work: Work<T>, { signal }: RunOptions, maxExecution: number, name: string): Promise<T> {
  const own = new AbortController()
  const follow = (): void => { own.abort(signal?.reason) }
  const timer = setTimeout(() => { own.abort(new FST_CONCURRENCY_OVERDUE(name, maxExecution)) }, maxExecution)
  signal?.addEventListener('abort', follow, { once: true })
  if (signal?.aborted === true) follow()
  try {
    return await work(own.signal)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', follow)
  }
}
