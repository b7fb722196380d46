import type { Claim, ClaimResult, Ended } from './record.js'
import type { Layer } from './observer.js'

/** One run of a handler under a claim. */
export interface Attempt {
  readonly claim: Claim
  readonly layer: Layer
  /** What the store said to the claim. */
  granted: Promise<ClaimResult>
  /** When the key was claimed, and the last time for which the store said that the claim is ours: ms of a clock that never jumps. */
  startedAt: number
  confirmedAt: number | null
  /** An extension was asked for and is not answered. */
  asked: boolean
  /** How long its lease is extended, ms. */
  maxExecution: number
  /** Another attempt holds the key. */
  lost: boolean
  /** It is being finished or given back: its lease is not extended any more. */
  closing: boolean
  /** Why the handler should stop, once it should. */
  stopped: Error | null
  controller: AbortController | null
  ending: PromiseWithResolvers<Ended> | null
}

interface PromiseWithResolvers<T> {
  promise: Promise<T>
  resolve: (value: T) => void
}

/** What is left of the lease by our own clock, ms. The store's clock started later, so this never says more than is left. */
export function leaseLeft ({ claim, confirmedAt }: Attempt, now: number): number {
  return confirmedAt === null ? claim.lease : confirmedAt + claim.lease - now
}

/** Aborts when the claim is lost or may not be extended any more. Made when asked for: most handlers never ask. */
export function signalOf (attempt: Attempt): AbortSignal {
  attempt.controller ??= new AbortController()
  if (attempt.stopped !== null) attempt.controller.abort(attempt.stopped)
  return attempt.controller.signal
}

export function stop (attempt: Attempt, reason: string): void {
  attempt.stopped ??= new Error(reason)
  attempt.controller?.abort(attempt.stopped)
}

/** What duplicates in this process wait for. */
export function endingOf (attempt: Attempt): Promise<Ended> {
  if (attempt.ending === null) {
    let resolve: (value: Ended) => void = () => {}
    const promise = new Promise<Ended>((_resolve) => { resolve = _resolve })
    attempt.ending = { promise, resolve }
  }
  return attempt.ending.promise
}
