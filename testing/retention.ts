import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { misuse, newClaim, response } from './claims.js'
import { promise } from './promise.js'
import type { StorePromise } from './promise.js'
import { assertFinished, unhurried, until } from './records.js'
import { soon } from './waiters.js'

export const retention: StorePromise[] = [
  promise('retention starts when the record is finished', (store, signal) => unhurried(1_000, async (retention) => {
    const [finished, buried] = [newClaim({ lease: 10, retention }), newClaim({ lease: 10, retention })]
    const gone = performance.now() + retention // where they are not finished until then
    for (const claim of [finished, buried]) await store.claim(claim)
    await delay(retention * 0.55, undefined, { signal }) // the passing of time is the subject
    const end = performance.now() + retention
    await Promise.all([store.complete(finished, response), store.complete(buried, null)])
    if (performance.now() > gone) return false
    await delay(retention * 0.55, undefined, { signal }) // as above
    const found = await Promise.all([store.get(finished.id), store.get(buried.id)])
    if (performance.now() > end) return false
    assertFinished(found[0], finished, response)
    assertFinished(found[1], buried, null)
    return true
  })),

  promise('a record past its retention is gone, for another request too', async (store, signal) => {
    for (const kept of [response, null]) {
      const claim = newClaim({ lease: 10, retention: 50 })
      await store.claim(claim)
      await store.complete(claim, kept)
      await soon(until(signal, async () => await store.get(claim.id) === null || null), 'the record was not gone', 5_000)
      assert.equal((await store.claim(misuse(claim))).state, 'claimed')
    }
  })
]
