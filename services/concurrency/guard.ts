import { AsyncLocalStorage } from 'node:async_hooks'
import { positive } from '../options.js'
import type { CircuitBreaker } from './circuit-breaker.js'
import type { Semaphore, SemaphoreRunOptions } from './semaphore.js'
import { checkOptions, runRules, runWithin } from './work.js'
import type { Work } from './work.js'

/** Where no semaphore checks them, and knows how many slots there are. */
const rules = { ...runRules, weight: positive('slots') }

export interface GuardDeps {
  /** How errors call it: `guard database`. */
  name: string
  /** Null where there is none of this name; one of the two there is. */
  semaphore: Semaphore | null
  breaker: CircuitBreaker | null
}

/**
 * Runs the work in a slot of the semaphore and through the breaker. A call within the work of another has its slot already: it would wait for itself.
 * What outlives that work in the background has it no more.
 *
 * @throws what the work throws, FST_CONCURRENCY_CIRCUIT_OPEN, FST_CONCURRENCY_TIMEOUT, FST_CONCURRENCY_ABORTED, FST_CONCURRENCY_CLOSED
 */
export type Guard = <T>(work: Work<T>, options?: SemaphoreRunOptions) => Promise<T>

/** Work that is in its slot, until it has ended. */
interface Turn {
  signal: AbortSignal
  open: boolean
}

export function createGuard ({ name, semaphore, breaker }: GuardDeps): Guard {
  const within = new AsyncLocalStorage<Turn>()
  const runAlone: Guard = async (work, options = {}) => {
    checkOptions(options, rules, name)
    return await runWithin(work, options, name)
  }
  return async (work, options = {}) => {
    const outer = within.getStore()
    if (outer?.open === true) return await runAlone(work, { ...options, signal: options.signal ?? outer.signal })
    // Work that is overdue is the failure of what it calls, work whose caller gave up is not: the breaker gets the caller's signal.
    const given = options.signal === undefined ? {} : { signal: options.signal }
    const guarded = (signal: AbortSignal) => {
      const turn: Turn = { signal, open: true }
      const run = async () => {
        try {
          return await within.run(turn, () => work(signal))
        } finally {
          turn.open = false
        }
      }
      return breaker === null ? run() : breaker.run(run, given)
    }
    return await (semaphore?.run ?? runAlone)(guarded, options)
  }
}
