import { randomBytes } from 'node:crypto'
import type { Claim, StoredResponse } from '../services/idempotency/record.js'

/** The first attempt at a key that nobody used before, with a long life. */
export function newClaim (changes: Partial<Claim> = {}): Claim {
  return { id: randomBytes(32).toString('hex'), fingerprint: '11'.repeat(32), token: newToken(), lease: 60_000, retention: 120_000, guarantee: 'fast', ...changes }
}

/** Another attempt at the same key. */
export function again (claim: Claim, changes: Partial<Claim> = {}): Claim {
  return { ...claim, token: newToken(), ...changes }
}

/** An attempt at the same key with another request. */
export function misuse (claim: Claim): Claim {
  return again(claim, { fingerprint: '22'.repeat(32) })
}

function newToken (): string {
  return randomBytes(16).toString('base64url')
}

export const response: StoredResponse = {
  status: 201,
  headers: { 'content-type': 'application/json; charset=utf-8', location: '/things/1', link: ['<a>; rel=next', '<b>; rel=prev'] },
  body: Buffer.from('{"name":"ü\\n"}\n')
}

export const otherResponse: StoredResponse = { status: 404, headers: { 'content-type': 'text/plain' }, body: 'no such thing' }
