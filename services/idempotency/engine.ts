import { randomUUID } from 'node:crypto'
import type { Claim, Guarantee, StoredResponse } from './record.js'
import type { IdempotencyStore } from './store.js'

export interface BeginInput {
  /** Digest of scope and key. */
  id: string
  fingerprint: string
  /** ms */
  lease: number
  /** ms */
  retention: number
  guarantee: Guarantee
}

/** What a request with a key is to do. */
export type Decision =
  | { action: 'run', attempt: Attempt }
  | { action: 'replay', response: StoredResponse }
  /** Finished, but the response cannot be replayed. */
  | { action: 'tombstone' }
  /** Another attempt runs; a retry may find it finished, or take it over, after `leaseLeft` ms. */
  | { action: 'conflict', leaseLeft: number }
  /** The key was used for another request. */
  | { action: 'mismatch' }

/** The one attempt that runs the handler. Exactly one of its methods is called; false says that the claim was lost to another attempt. */
export interface Attempt {
  token: string
  complete: (response: StoredResponse) => Promise<boolean>
  bury: () => Promise<boolean>
  release: () => Promise<boolean>
}

export interface IdempotencyEngine {
  /** Throws what the store throws. */
  begin: (input: BeginInput) => Promise<Decision>
}

export interface EngineOptions {
  store: IdempotencyStore
  /** 22 base64url characters that nobody can guess. Default: a random UUID, 122 random bits. */
  newToken?: () => string
}

/** A UUID, because Node draws those from a pool: `randomBytes` asks the kernel each time, which was 11 % of a replay. */
function randomToken (): string {
  return Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url')
}

export function createEngine ({ store, newToken = randomToken }: EngineOptions): IdempotencyEngine {
  return {
    async begin (input) {
      const claim: Claim = { ...input, token: newToken() }
      const result = await store.claim(claim)
      if (result.state === 'claimed') return { action: 'run', attempt: attemptOf(store, claim) }
      // Before the conflict: another request under this key is a mistake that waiting does not mend. Both digests are ours, so a plain comparison tells nothing.
      if (result.fingerprint !== input.fingerprint) return { action: 'mismatch' }
      if (result.state === 'running') return { action: 'conflict', leaseLeft: result.leaseLeft }
      return result.state === 'completed' ? { action: 'replay', response: result.response } : { action: 'tombstone' }
    }
  }
}

function attemptOf (store: IdempotencyStore, claim: Claim): Attempt {
  return {
    token: claim.token,
    complete: (response) => store.complete(claim, response),
    bury: () => store.complete(claim, null),
    release: () => store.release(claim)
  }
}
