/** What a finished request answered: enough to answer it again, byte for byte. */
export interface StoredResponse {
  status: number
  /** Allow-listed response headers, lower-case names. */
  headers: Record<string, string | string[]>
  /** Text stays text on its way through a store where it can: turning it into bytes and back is a good part of what a request costs. Both may come back. */
  body: string | Uint8Array
}

/** How surely a finished request is remembered: docs/guarantees.md. */
export type Guarantee = 'fast' | 'mirrored' | 'transactional'

/** The atomic "I run this" record of one attempt. */
export interface Claim {
  /** 64 hex digits: SHA-256 of scope and key. */
  id: string
  /** 64 hex digits: SHA-256 of what the handler sees. */
  fingerprint: string
  /** Random id of this attempt, 22 base64url characters. Every later write compares it. */
  token: string
  /** Life of the claim while its request runs, ms. */
  lease: number
  /** Life of the finished record, ms. */
  retention: number
  /** For stores that consist of two. The others ignore it. */
  guarantee: Guarantee
}

/** `left`: what is left of a finished record's retention, ms. A store that says it lets processes keep the record in memory for so long. */
export type StoredRecord =
  /** Another attempt runs; it may be taken over in `leaseLeft` ms. */
  | { state: 'running', fingerprint: string, token: string, leaseLeft: number }
  | { state: 'completed', fingerprint: string, token: string, response: StoredResponse, left?: number }
  /** Finished, but its response cannot be replayed. */
  | { state: 'tombstone', fingerprint: string, token: string, left?: number }

/** What became of a claim that was waited for. Null: it was given back, its lease is past, or another attempt holds the key. */
export type Ended = Exclude<StoredRecord, { state: 'running' }> | null

export type ClaimResult =
  /** `recovered`: another attempt held the key and its lease was past. What it did before is not known. */
  | { state: 'claimed', recovered: boolean }
  | StoredRecord
