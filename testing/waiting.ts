import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { newClaim, otherResponse, response } from './claims.js'
import { promise } from './promise.js'
import type { StorePromise } from './promise.js'
import { assertFinished, takenOver, unhurried, untilLeaseLeft } from './records.js'
import { soon, startWait } from './waiters.js'

/** Long enough for a wait to have begun everywhere, ms. */
const settled = 150

export const waiting: StorePromise[] = [
  promise('a wait ends with the record soon after it is finished, and not before', async (store, signal) => {
    for (const kept of [response, null]) {
      const claim = newClaim()
      await store.claim(claim)
      const wait = startWait(store, claim, signal)
      await delay(settled, undefined, { signal }) // no store tells that a wait has begun
      assert.equal(wait.isOver(), false)
      await store.complete(claim, kept)
      assertFinished(await soon(wait.ended), claim, kept)
    }
  }),

  promise('a wait that begins after the end ends at once', async (store, signal) => {
    const [finished, buried, released] = [newClaim(), newClaim(), newClaim()]
    for (const claim of [finished, buried, released]) await store.claim(claim)
    await store.complete(finished, response)
    await store.complete(buried, null)
    await store.release(released)
    assertFinished(await soon(startWait(store, finished, signal).ended), finished, response)
    assertFinished(await soon(startWait(store, buried, signal).ended), buried, null)
    assert.equal(await soon(startWait(store, released, signal).ended), null)
  }),

  promise('a wait that begins while the record is being finished does not miss it', async (store, signal) => {
    const claims = Array.from({ length: 60 }, () => newClaim())
    await Promise.all(claims.map((claim) => store.claim(claim)))
    await Promise.all(claims.map(async (claim, index) => {
      const { ended } = startWait(store, claim, signal)
      if (index % 3 === 1) await new Promise((resolve) => { setImmediate(resolve) })
      if (index % 3 === 2) await delay(index / 6, undefined, { signal }) // completions at many moments of a wait's beginning are the subject
      await store.complete(claim, response)
      assertFinished(await soon(ended), claim, response)
    }))
  }),

  promise('all of 100 waits for one key end', async (store, signal) => {
    const claim = newClaim()
    await store.claim(claim)
    const waits = Array.from({ length: 100 }, () => startWait(store, claim, signal))
    await delay(settled, undefined, { signal }) // no store tells that a wait has begun
    await store.complete(claim, response)
    for (const found of await soon(Promise.all(waits.map(({ ended }) => ended)))) assertFinished(found, claim, response)
  }),

  promise('a wait ends with null soon after the key is released', async (store, signal) => {
    const claim = newClaim()
    await store.claim(claim)
    const wait = startWait(store, claim, signal)
    await delay(settled, undefined, { signal }) // no store tells that a wait has begun
    await store.release(claim)
    assert.equal(await soon(wait.ended), null)
  }),

  promise('a wait ends with null soon after the lease is past', async (store, signal) => {
    const claim = newClaim({ lease: 500 })
    await store.claim(claim)
    const wait = startWait(store, claim, signal)
    await untilLeaseLeft(store, claim, 0, signal)
    assert.equal(await soon(wait.ended), null)
  }),

  promise('a wait goes on while the lease is extended', (store, signal) => unhurried(1_000, async (lease) => {
    const claim = newClaim({ lease })
    let end = performance.now() + lease
    await store.claim(claim)
    const wait = startWait(store, claim, signal)
    for (let times = 0; times < 3; times++) {
      await delay(lease * 0.4, undefined, { signal }) // the passing of time is the subject
      const nextEnd = performance.now() + lease
      await store.extend([claim])
      if (performance.now() > end) return false
      assert.equal(wait.isOver(), false)
      end = nextEnd
    }
    await store.complete(claim, response)
    const found = await soon(wait.ended)
    if (performance.now() > end) return false
    assertFinished(found, claim, response)
    return true
  })),

  promise('a wait ends with null when another attempt holds the key', async (store, signal) => {
    const late = newClaim({ lease: 300 })
    await store.claim(late)
    const wait = startWait(store, late, signal)
    await takenOver(store, late, signal)
    assert.equal(await soon(wait.ended), null)
    assert.equal(await soon(startWait(store, late, signal).ended), null)
  }),

  promise('a wait ends with null or its record when another attempt finished the key', async (store, signal) => {
    const late = newClaim({ lease: 1 })
    await store.claim(late)
    const next = await takenOver(store, late, signal)
    await store.complete(next, otherResponse)
    const found = await soon(startWait(store, late, signal).ended)
    if (found !== null) assertFinished(found, next, otherResponse)
  })
]
