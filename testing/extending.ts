import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { again, newClaim, response } from './claims.js'
import { promise } from './promise.js'
import type { StorePromise } from './promise.js'
import { assertFinished, assertRunning, leaseLeft, takenOver, tolerance, unhurried, untilLeaseLeft } from './records.js'

export const extending: StorePromise[] = [
  promise('extended claims have their whole leases again', async (store, signal) => {
    const claims = Array.from({ length: 3 }, () => newClaim({ lease: 2_000 }))
    for (const claim of claims) await store.claim(claim)
    for (const claim of claims) await untilLeaseLeft(store, claim, 1_000, signal)
    const start = performance.now()
    assert.deepEqual(await store.extend(claims), [true, true, true])
    for (const claim of claims) {
      const left = await leaseLeft(store, claim)
      const passed = performance.now() - start
      assert.ok(left >= claim.lease - passed - tolerance && left <= claim.lease, `${left} of ${claim.lease} ms are left ${passed} ms later`)
      assertRunning(await store.claim(again(claim)), claim)
    }
  }),

  promise('an extended claim is held for longer than the retention counted from its beginning', (store, signal) => unhurried(1_000, async (lease) => {
    const claim = newClaim({ lease, retention: lease })
    const firstEnd = performance.now() + lease
    await store.claim(claim)
    await delay(lease * 0.55, undefined, { signal }) // the passing of time is the subject
    const secondEnd = performance.now() + lease
    const extended = await store.extend([claim])
    if (performance.now() > firstEnd) return false
    assert.deepEqual(extended, [true])
    await delay(lease * 0.55, undefined, { signal }) // as above
    const found = await store.claim(again(claim))
    if (performance.now() > secondEnd) return false
    assertRunning(found, claim)
    return true
  })),

  promise('a claim past its lease that nobody took over can be extended', async (store, signal) => {
    const late = newClaim({ lease: 1 })
    await store.claim(late)
    await untilLeaseLeft(store, late, 0, signal)
    assert.deepEqual(await store.extend([late]), [true])
    assertRunning(await store.get(late.id), late)
  }),

  promise('extend answers for every claim in the order of its list', async (store) => {
    const held = Array.from({ length: 250 }, () => newClaim())
    await Promise.all(held.map((claim) => store.claim(claim)))
    const kept = held.map((_, index) => index % 7 !== 0 && index % 11 !== 0)
    const list = held.map((claim, index) => kept[index] === true ? claim : again(claim))
    assert.deepEqual(await store.extend(list), kept)
    assert.deepEqual(await store.extend(list.toReversed()), kept.toReversed())
    for (const claim of held.slice(0, 12)) assertRunning(await store.get(claim.id), claim)
  }),

  promise('an empty list of claims is extended to an empty list', async (store) => {
    assert.deepEqual(await store.extend([]), [])
  }),

  promise('an attempt cannot extend a key that another one holds or finished, among those that it can', async (store, signal) => {
    const [own, lost, finished] = [newClaim(), newClaim({ lease: 1 }), newClaim({ lease: 1 })]
    for (const claim of [own, lost, finished]) await store.claim(claim)
    const [holder, winner] = [await takenOver(store, lost, signal), await takenOver(store, finished, signal)]
    await store.complete(winner, response)
    assert.deepEqual(await store.extend([lost, own, finished]), [false, true, false])
    assertRunning(await store.get(lost.id), holder)
    assertFinished(await store.get(finished.id), winner, response)
  }),

  promise('a finished record stays finished when a late extension of its own attempt arrives', async (store) => {
    const [claim, buried] = [newClaim(), newClaim()]
    for (const each of [claim, buried]) await store.claim(each)
    await store.complete(claim, response)
    await store.complete(buried, null)
    await store.extend([claim, buried]) // the answer is left open
    assertFinished(await store.claim(again(claim)), claim, response)
    assertFinished(await store.claim(again(buried)), buried, null)
  })
]
