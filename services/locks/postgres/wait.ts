import { FST_LOCKS_ABORTED, FST_LOCKS_TIMEOUT, lockError } from '../errors.js'
import type { LockDetails } from '../errors.js'

export interface WaitOptions {
  /** ms. Default: 10,000. */
  timeout?: number
  /** Between two looks, half of it more or less, ms. Default: 100. */
  interval?: number
  signal?: AbortSignal | undefined
}

export interface Source<T> {
  /** Gives back what came after the signal. */
  refuse?: (had: T) => Promise<void>
  /** Calls `wake` when a look is worth it. Resolves with what ends that. */
  subscribe?: (wake: () => void) => Promise<() => void>
}

/**
 * Looks until it has something else than null. It does not wait inside of Postgres, where a waiter holds a snapshot, for whose end CREATE INDEX
 * CONCURRENTLY waits.
 * @throws FST_LOCKS_TIMEOUT after the deadline, where it looks once more; FST_LOCKS_ABORTED after the signal.
 */
export async function untilHad<T> (names: readonly string[], look: () => Promise<T | null>, options: WaitOptions & Source<T> = {}): Promise<T> {
  const { timeout = 10_000, interval = 100, signal, subscribe, refuse } = options
  const start = performance.now()
  const bell = createBell()
  let unsubscribe: (() => void) | undefined
  const isOver = (): boolean => signal?.aborted === true
  const details = (attempts: number): LockDetails => ({ names, waited: performance.now() - start, attempts })
  try {
    for (let attempts = 1; ; attempts++) {
      if (isOver()) throw lockError(FST_LOCKS_ABORTED, details(attempts - 1), signal?.reason)
      const had = await look()
      if (had !== null && !isOver()) return had
      if (had !== null) await refuse?.(had)
      const left = start + timeout - performance.now()
      if (left <= 0) throw lockError(FST_LOCKS_TIMEOUT, details(attempts))
      if (attempts === 1) unsubscribe = await subscribe?.(bell.ring)
      // The first one after subscribing looks at once: it may have been given back in between.
      if (attempts > 1 || unsubscribe === undefined) await bell.wait(Math.min(left, interval * (0.5 + Math.random())), signal)
    }
  } finally {
    unsubscribe?.()
  }
}

interface Bell {
  ring: () => void
  /** Until it rings, has rung since the last wait, or the time or the signal is over. */
  wait: (ms: number, signal?: AbortSignal) => Promise<void>
}

function createBell (): Bell {
  let rung = false
  let answer = (): void => {}
  return {
    ring () {
      rung = true
      answer()
    },
    async wait (ms, signal) {
      if (!rung && signal?.aborted !== true) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms)
          answer = () => { resolve(clearTimeout(timer)) }
          signal?.addEventListener('abort', answer, { once: true })
        })
        signal?.removeEventListener('abort', answer)
      }
      rung = false
    }
  }
}
