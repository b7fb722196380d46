import assert from 'node:assert/strict'
import { again, misuse, newClaim, response } from './claims.js'
import { promise } from './promise.js'
import type { StorePromise } from './promise.js'
import { assertFinished, assertGranted, assertRunning } from './records.js'

export const claiming: StorePromise[] = [
  promise('of 100 concurrent claims exactly one is granted, and the others see it run', async (store) => {
    const first = newClaim()
    const attempts = [first, ...Array.from({ length: 99 }, () => again(first))]
    const results = await Promise.all(attempts.map((claim) => store.claim(claim)))
    const winner = attempts[results.findIndex(({ state }) => state === 'claimed')] ?? assert.fail('none is granted')
    for (const [index, result] of results.entries()) {
      if (attempts[index] === winner) assertGranted(result, false)
      else assertRunning(result, winner)
    }
  }),

  promise('a claim is not granted again while it runs, neither to the same request nor to another', async (store) => {
    const claim = newClaim()
    assertGranted(await store.claim(claim), false)
    assertRunning(await store.claim(again(claim)), claim)
    assertRunning(await store.claim(misuse(claim)), claim)
    assertRunning(await store.get(claim.id), claim)
  }),

  promise('a running claim tells what is left of its lease', async (store) => {
    const claim = newClaim()
    await store.claim(claim)
    for (const found of [await store.claim(again(claim)), await store.get(claim.id)]) {
      assert.equal(found?.state, 'running')
      assert.ok(found.leaseLeft > 0 && found.leaseLeft <= claim.lease, `${found.leaseLeft} ms are left of ${claim.lease}`)
    }
  }),

  promise('a claim repeated with the same token is granted again, because its reply may have been lost', async (store) => {
    const claim = newClaim()
    assertGranted(await store.claim(claim), false)
    assertGranted(await store.claim(claim), false)
    assertRunning(await store.claim(again(claim)), claim)
  }),

  promise('a key that nobody claimed has no record', async (store) => {
    assert.equal(await store.get(newClaim().id), null)
  }),

  promise('keys do not concern each other', async (store) => {
    const [one, other] = [newClaim(), newClaim()]
    assertGranted(await store.claim(one), false)
    assertGranted(await store.claim(other), false)
    await store.complete(one, response)
    assertFinished(await store.get(one.id), one, response)
    assertRunning(await store.get(other.id), other)
  })
]
