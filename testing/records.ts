import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { Claim, ClaimResult, StoredRecord, StoredResponse } from '../services/idempotency/record.js'
import type { IdempotencyStore } from '../services/idempotency/store.js'
import { again } from './claims.js'

/** What a clock that counts whole milliseconds may be off, ms. */
export const tolerance = 5

type Owner = Pick<Claim, 'token' | 'fingerprint'>

export function assertRunning (found: ClaimResult | null, owner: Owner): void {
  assert.deepEqual(described(found), { state: 'running', ...ownerOf(owner) })
}

/** @param response null for a tombstone */
export function assertFinished (found: ClaimResult | null, owner: Owner, response: StoredResponse | null): void {
  const record: StoredRecord = response === null ? { state: 'tombstone', ...ownerOf(owner) } : { state: 'completed', ...ownerOf(owner), response }
  assert.deepEqual(described(found), described(record))
}

export function assertGranted (result: ClaimResult, recovered: boolean): void {
  assert.deepEqual(described(result), { state: 'claimed', recovered })
}

function ownerOf ({ token, fingerprint }: Owner): Owner {
  return { token, fingerprint }
}

/** What is compared of a record: the bytes of a body, whatever they came as, and not what is left of a lease, which is another each time. */
function described (found: ClaimResult | null): unknown {
  if (found === null) return null
  if (found.state === 'claimed') return { state: found.state, recovered: found.recovered }
  if (found.state !== 'completed') return { state: found.state, ...ownerOf(found) }
  const { status, headers, body } = found.response
  return { state: found.state, ...ownerOf(found), response: { status, headers: { ...headers }, body: Buffer.from(body).toString('latin1') } }
}

/** Calls `probe` until it answers something else than null. */
export async function until<T> (signal: AbortSignal, probe: () => Promise<T | null>): Promise<T> {
  for (;;) {
    const value = await probe()
    if (value !== null) return value
    await delay(10, undefined, { signal }) // between two looks
  }
}

/**
 * Gives `attempt` twice the time, ms, as long as it answers false: it was too slow itself to tell anything. Leases and retentions go on while a busy
 * machine does something else.
 */
export async function unhurried (ms: number, attempt: (ms: number) => Promise<boolean>): Promise<void> {
  while (!await attempt(ms)) ms *= 2
}

export async function leaseLeft (store: IdempotencyStore, { id }: Claim): Promise<number> {
  const found = await store.get(id)
  assert.equal(found?.state, 'running')
  return found.leaseLeft
}

/** By the store's clock. */
export async function untilLeaseLeft (store: IdempotencyStore, claim: Claim, ms: number, signal: AbortSignal): Promise<void> {
  await until(signal, async () => await leaseLeft(store, claim) <= ms || null)
}

/** The attempt that took the key over once the lease was past. */
export async function takenOver (store: IdempotencyStore, late: Claim, signal: AbortSignal): Promise<Claim> {
  const next = again(late, { lease: 60_000, retention: 120_000 })
  await until(signal, async () => (await store.claim(next)).state === 'claimed' || null)
  return next
}
