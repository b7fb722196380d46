/** What a lock gives its holder. */
export interface Grant {
  readonly names: readonly string[]
  /** Grows with every grant of any lock: a resource refuses an older one. Null where fencing was not asked for and the backend draws none by itself. */
  readonly token: bigint | null
  /** Aborts, with FST_LOCKS_LOST as its reason, when the lock is lost or its validity is over; before anybody else can have it, but for a lost store. */
  readonly signal: AbortSignal
  /** Throws FST_LOCKS_LOST where the lock is not surely held. Synchronous and by the monotonic clock: right after a pause of the process too. */
  assertHeld: () => void
  /** How long it is surely held if nothing extends it, ms. 0 once it is lost or released; Infinity for a lock that ends with its session or transaction. */
  remaining: () => number
  /** Gives it back. False: it was not ours any more. Once; later calls answer the same. Never throws. */
  release: () => Promise<boolean>
}
