import type { Claim, ClaimResult, Ended, StoredRecord, StoredResponse } from './record.js'

/**
 * Where claims and finished records live. Times are measured by the store's own clock, never by ours. Every implementation passes the tests of
 * `holdfast/testing`.
 */
export interface IdempotencyStore {
  /**
   * Takes the key for this attempt, or returns the record that holds it. One atomic step: of any number of concurrent callers exactly one
   * is answered `claimed`. A record past its retention, and a claim past its lease with the same fingerprint, count as absent. Called again
   * with the same token it answers `claimed` again, so that a claim whose reply was lost can be repeated.
   */
  claim: (claim: Claim) => Promise<ClaimResult>
  /**
   * Starts the leases anew, of all claims in one call. False, in the same place of the list, for a claim that another attempt holds or finished. A
   * store that can lose its memory makes a claim again that it has lost.
   */
  extend: (claims: readonly Claim[]) => Promise<boolean[]>
  /** Finishes the record, with `null` as a tombstone; its retention starts now. False when another attempt holds or finished the key. */
  complete: (claim: Claim, response: StoredResponse | null) => Promise<boolean>
  /** Gives the key back, so that a retry runs. False when the claim is no longer this attempt's. */
  release: (claim: Claim) => Promise<boolean>
  get: (id: string) => Promise<StoredRecord | null>
  /** Waits until the claim of the attempt `token` has ended. Rejects with the signal's reason. */
  waitFor: (id: string, token: string, signal: AbortSignal) => Promise<Ended>
}
