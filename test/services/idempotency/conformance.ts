import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import type { Claim, ClaimResult, StoredResponse } from '../../../services/idempotency/record.js'
import type { IdempotencyStore } from '../../../services/idempotency/store.js'
import { until } from '../../helper.js'

export function newClaim (changes: Partial<Claim> = {}): Claim {
  return { id: randomBytes(32).toString('hex'), fingerprint: '11'.repeat(32), token: randomBytes(16).toString('base64url'), lease: 60_000, retention: 120_000, guarantee: 'fast', ...changes }
}

/** Another attempt at the same key. */
export function again (claim: Claim, changes: Partial<Claim> = {}): Claim {
  return { ...claim, token: randomBytes(16).toString('base64url'), ...changes }
}

export const response: StoredResponse = {
  status: 201,
  headers: { 'content-type': 'application/json; charset=utf-8', location: '/things/1', link: ['<a>; rel=next', '<b>; rel=prev'] },
  body: Buffer.from('{"name":"ü\\n"}\n')
}

/** With the body as text, whichever kind of Uint8Array a store returns it in. */
function plain (found: ClaimResult | null): unknown {
  return found?.state === 'completed' ? { ...found, response: { ...found.response, body: Buffer.from(found.response.body).toString('base64') } } : found
}

/** What every store promises. `open` is called once a test. */
export async function conformance (t: Test, name: string, open: (t: Test) => Promise<IdempotencyStore>): Promise<void> {
  const test = (promise: string, body: (t: Test, store: IdempotencyStore) => Promise<void>) =>
    t.test(`${name}: ${promise}`, async (t) => { await body(t, await open(t)) })

  await test('of 100 concurrent claims exactly one is granted, and the others see it run', async (t, store) => {
    const claim = newClaim()
    const results = await Promise.all(Array.from({ length: 100 }, () => store.claim(again(claim))))
    t.equal(results.filter(({ state }) => state === 'claimed').length, 1)
    t.equal(results.filter(({ state }) => state === 'running').length, 99)
  })

  await test('a running claim tells its fingerprint, its token and what is left of its lease', async (t, store) => {
    const claim = newClaim()
    await store.claim(claim)
    const seen = await store.claim(again(claim, { fingerprint: '22'.repeat(32) }))
    t.match(seen, { state: 'running', fingerprint: claim.fingerprint, token: claim.token })
    t.ok(seen.state === 'running' && seen.leaseLeft > 0 && seen.leaseLeft <= claim.lease)
  })

  await test('a claim repeated with the same token is granted again, because its reply may have been lost', async (t, store) => {
    const claim = newClaim()
    t.strictSame(await store.claim(claim), { state: 'claimed', recovered: false })
    t.strictSame(await store.claim(claim), { state: 'claimed', recovered: false })
  })

  await test('a finished record is returned with its status, headers and bytes', async (t, store) => {
    const claim = newClaim()
    await store.claim(claim)
    t.equal(await store.complete(claim, response), true)
    const expected = { state: 'completed' as const, fingerprint: claim.fingerprint, token: claim.token, response }
    t.same(plain(await store.claim(again(claim))), plain(expected))
    t.same(plain(await store.get(claim.id)), plain(expected))
  })

  await test('bytes of every value survive', async (t, store) => {
    const claim = newClaim()
    const body = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256))
    await store.claim(claim)
    await store.complete(claim, { status: 200, headers: {}, body })
    const found = await store.get(claim.id)
    t.ok(found?.state === 'completed' && body.equals(Buffer.from(found.response.body)))
  })

  await test('a completion repeated with the same token succeeds, because its reply may have been lost', async (t, store) => {
    const claim = newClaim()
    await store.claim(claim)
    t.equal(await store.complete(claim, response), true)
    t.equal(await store.complete(claim, response), true)
  })

  await test('a tombstone is kept without a response', async (t, store) => {
    const claim = newClaim()
    await store.claim(claim)
    t.equal(await store.complete(claim, null), true)
    t.match(await store.claim(again(claim)), { state: 'tombstone', fingerprint: claim.fingerprint })
  })

  await test('a released key is free at once', async (t, store) => {
    const claim = newClaim()
    await store.claim(claim)
    t.equal(await store.release(claim), true)
    t.equal(await store.get(claim.id), null)
    t.equal((await store.claim(again(claim))).state, 'claimed')
  })

  await test('a claim past its lease is taken over once, and the late attempt can write nothing any more', async (t, store) => {
    const late = newClaim({ lease: 30 })
    await store.claim(late)
    const next = await until('the lease ends', async () => {
      const claim = again(late, { lease: 60_000 })
      const result = await store.claim(claim)
      if (result.state !== 'claimed') return null
      t.equal(result.recovered, true)
      return claim
    })
    t.equal((await store.claim(again(late))).state, 'running')
    t.same([await store.complete(late, response), (await store.extend([late]))[0], await store.release(late)], [false, false, false])
    t.match(await store.get(late.id), { state: 'running', token: next.token })
    t.equal(await store.complete(next, response), true)
  })

  await test('a claim past its lease is not taken over by another request', async (t, store) => {
    const late = newClaim({ lease: 1 })
    await store.claim(late)
    await until('the lease ends', async () => {
      const seen = await store.get(late.id)
      return seen?.state === 'running' && seen.leaseLeft === 0
    })
    t.match(await store.claim(again(late, { fingerprint: '22'.repeat(32) })), { state: 'running', token: late.token, leaseLeft: 0 })
  })

  await test('a claim past its lease that nobody took over can still be finished', async (t, store) => {
    const late = newClaim({ lease: 1 })
    await store.claim(late)
    await until('the lease ends', async () => {
      const seen = await store.get(late.id)
      return seen?.state === 'running' && seen.leaseLeft === 0
    })
    t.equal(await store.complete(late, response), true)
  })

  await test('an extended claim has its whole lease again', async (t, store) => {
    const claim = newClaim({ lease: 200 })
    await store.claim(claim)
    await until('half of the lease is gone', async () => {
      const seen = await store.get(claim.id)
      return seen?.state === 'running' && seen.leaseLeft < 100
    })
    t.same(await store.extend([claim]), [true])
    const seen = await store.get(claim.id)
    t.ok(seen?.state === 'running' && seen.leaseLeft > 100, `leaseLeft of ${JSON.stringify(seen)}`)
  })

  await test('a finished record can be neither released nor extended', async (t, store) => {
    const claim = newClaim()
    await store.claim(claim)
    await store.complete(claim, response)
    t.same([await store.release(claim), (await store.extend([claim]))[0]], [false, false])
    t.match(await store.get(claim.id), { state: 'completed' })
  })

  await test('a record past its retention is gone, for another request too', async (t, store) => {
    const claim = newClaim({ lease: 10, retention: 50 })
    await store.claim(claim)
    await store.complete(claim, response)
    await until('the retention ends', async () => await store.get(claim.id) === null)
    t.equal((await store.claim(again(claim, { fingerprint: '22'.repeat(32) }))).state, 'claimed')
  })

  await test('retention starts when the record is finished', async (t, store) => {
    const claim = newClaim({ lease: 10, retention: 2_000 })
    await store.claim(claim)
    await new Promise((resolve) => setTimeout(resolve, 1_200)) // the passing of time is the subject
    await store.complete(claim, response)
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    t.match(await store.get(claim.id), { state: 'completed' })
  })

  await test('nothing can be written to a key that was never claimed', async (t, store) => {
    const claim = newClaim()
    t.same([await store.complete(claim, response), (await store.extend([claim]))[0], await store.release(claim)], [false, false, false])
    t.equal(await store.get(claim.id), null)
  })
}
