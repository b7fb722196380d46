/** What a finished request answered: enough to answer it again, byte for byte. */
export interface StoredResponse {
  status: number
  /** Allow-listed response headers, lower-case names. */
  headers: Record<string, string | string[]>
  body: Uint8Array
}

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
}

export type StoredRecord =
  /** Another attempt runs; it may be taken over in `leaseLeft` ms. */
  | { state: 'running', fingerprint: string, token: string, leaseLeft: number }
  | { state: 'completed', fingerprint: string, token: string, response: StoredResponse }
  /** Finished, but its response cannot be replayed. */
  | { state: 'tombstone', fingerprint: string, token: string }

export type ClaimResult =
  /** `recovered`: another attempt held the key and its lease was past. What it did before is not known. */
  | { state: 'claimed', recovered: boolean }
  | StoredRecord
