import assert from 'node:assert/strict'
import { again, misuse, newClaim, response } from './claims.js'
import { promise } from './promise.js'
import type { StorePromise } from './promise.js'
import { assertFinished, assertGranted, assertRunning, takenOver, tolerance, until, untilLeaseLeft } from './records.js'
import { soon } from './waiters.js'

export const lease: StorePromise[] = [
  promise('a claim is taken over when its lease is past, and not before', async (store, signal) => {
    const first = newClaim({ lease: 400 })
    const start = performance.now()
    await store.claim(first)
    const claimed = until(signal, async () => {
      const result = await store.claim(again(first))
      return result.state === 'claimed' ? result : null
    })
    const result = await soon(claimed, 'the key was not free', 5_000)
    const passed = performance.now() - start
    assert.ok(passed >= first.lease - tolerance, `taken over ${passed} ms after it was claimed for ${first.lease} ms`)
    assertGranted(result, true)
  }),

  promise('of 100 concurrent claims past the lease exactly one is granted', async (store, signal) => {
    const late = newClaim({ lease: 1 })
    await store.claim(late)
    await untilLeaseLeft(store, late, 0, signal)
    const results = await Promise.all(Array.from({ length: 100 }, () => store.claim(again(late, { lease: 60_000 }))))
    assert.equal(results.filter(({ state }) => state === 'claimed').length, 1)
    assert.equal(results.filter(({ state }) => state === 'running').length, 99)
  }),

  promise('an attempt that was taken over writes nothing any more', async (store, signal) => {
    const late = newClaim({ lease: 1 })
    await store.claim(late)
    const next = await takenOver(store, late, signal)
    assert.deepEqual([await store.complete(late, response), await store.extend([late]), await store.release(late)], [false, [false], false])
    assertRunning(await store.get(late.id), next)
    assert.equal(await store.complete(next, response), true)
    assert.deepEqual([await store.complete(late, null), await store.extend([late]), await store.release(late)], [false, [false], false])
    assertFinished(await store.get(late.id), next, response)
  }),

  promise('a claim past its lease is not taken over by another request', async (store, signal) => {
    const late = newClaim({ lease: 1 })
    await store.claim(late)
    await untilLeaseLeft(store, late, 0, signal)
    assertRunning(await store.claim(misuse(late)), late)
    assertRunning(await store.get(late.id), late)
  }),

  promise('a claim past its lease that nobody took over can be finished', async (store, signal) => {
    const late = newClaim({ lease: 1 })
    await store.claim(late)
    await untilLeaseLeft(store, late, 0, signal)
    assert.equal(await store.complete(late, response), true)
    assertFinished(await store.claim(again(late)), late, response)
  })
]
