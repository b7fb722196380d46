import pDebounce from 'p-debounce'
import { timer } from '../options.js'
import { checkOptions } from './work.js'
import { once } from './once.js'

/** Calls within `wait` ms of each other become one, with the arguments of the last; it runs when there was none for `wait` ms, and all get its result. */
export type Debounce = <A extends unknown[], R>(fn: (...args: A) => Promise<R> | R, wait: number) => (...args: A) => Promise<R>

/** @param closing ends the calls that wait, and refuses all later ones, with its reason */
export function createDebounce (closing: AbortSignal): Debounce {
  return (fn, wait) => {
    checkOptions({ wait }, { wait: timer }, 'debounce')
    // p-debounce stops listening to its signal when a run ends, also for calls that came during it: here no run lasts, it only says what is to be run.
    const settle = pDebounce((...args: Parameters<typeof fn>) => once(async () => await fn(...args), { isPermanent: () => true }), wait, { signal: closing })
    return async (...args) => await (await settle(...args))()
  }
}
