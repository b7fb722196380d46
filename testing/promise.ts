import { setMaxListeners } from 'node:events'
import type { IdempotencyStore } from '../services/idempotency/store.js'

/** One thing that every store promises. */
export interface StorePromise {
  /** A sentence, for the name of a test. */
  promise: string
  /**
   * Resolves when the store keeps the promise. Rejects with an `AssertionError` when it does not, with what the store throws, and after 15,000 ms. Every
   * call uses keys of its own, so that one store serves all checks, at once or one after the other.
   */
  check: (store: IdempotencyStore) => Promise<void>
}

/** ms. The longest check takes 1,500 of them with a store that keeps its promise, and more on a busy machine. */
const deadline = 15_000

/** @param body gets a signal that aborts when the check is over, however it ends: nothing that it started goes on */
export function promise (promise: string, body: (store: IdempotencyStore, signal: AbortSignal) => Promise<void>): StorePromise {
  return {
    promise,
    async check (store) {
      const over = new AbortController()
      setMaxListeners(0, over.signal) // a check has up to 100 waits for it
      const late = new Promise<void>((resolve) => { over.signal.addEventListener('abort', () => { resolve() }) })
      const timer = setTimeout(() => { over.abort(new Error(`not within ${deadline} ms: ${promise}`)) }, deadline)
      try {
        await Promise.race([body(store, over.signal), late.then(() => { over.signal.throwIfAborted() })])
      } finally {
        clearTimeout(timer)
        over.abort(new Error('the check is over'))
      }
    }
  }
}
