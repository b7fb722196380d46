/** One attempt to take all of the names, sorted and without repetition. It never waits for a holder. */
export type Attempt =
  | { outcome: 'granted', hold: Hold }
  | { outcome: 'busy' }
  /** The store could not be had, or no quorum of it. */
  | { outcome: 'unavailable', cause: unknown }

/** What a backend holds for a grant. */
export interface Hold {
  /** Until when it is surely held, ms of `performance.now`. Infinity where a session or a transaction holds it. */
  validUntil: () => number
  /** Aborts when the backend learns that it is lost. */
  lost?: AbortSignal
  /** The same by a call, with the cause, and when the validity is over, whatever the store is doing: for a backend of short locks, which a signal for each would slow down. */
  onLost?: (lose: (cause: unknown) => void) => void
  /** The fencing token, where the backend draws one with the lock. */
  token?: bigint
  /** Gives it back. False: it was not ours any more. Rejects when the store could not be had; it ends by itself then. */
  release: () => Promise<boolean>
}

export interface LockBackend {
  readonly name: 'redis' | 'postgres'
  /** @param ttl ms, of a lock that has a life of its own */
  attempt: (names: readonly string[], ttl: number) => Promise<Attempt>
  /** Calls `wake` when one of the names may be free. Looking now and then stays the net. Resolves with what ends it. */
  subscribe?: (names: readonly string[], wake: () => void) => Promise<() => void>
  close: () => Promise<void>
}
