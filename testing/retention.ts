import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { misuse, newClaim, response } from './claims.js'
import { promise } from './promise.js'
import type { StorePromise } from './promise.js'
import { assertFinished, until } from './records.js'

export const retention: StorePromise[] = [
  promise('retention starts when the record is finished', async (store, signal) => {
    const claims = [newClaim({ lease: 10, retention: 3_000 }), newClaim({ lease: 10, retention: 3_000 })] as const
    for (const claim of claims) await store.claim(claim)
    await delay(1_600, undefined, { signal }) // the passing of time is the subject
    const [finished, buried] = claims
    assert.deepEqual([await store.complete(finished, response), await store.complete(buried, null)], [true, true])
    await delay(1_600, undefined, { signal })
    assertFinished(await store.get(finished.id), finished, response)
    assertFinished(await store.get(buried.id), buried, null)
  }),

  promise('a record past its retention is gone, for another request too', async (store, signal) => {
    for (const kept of [response, null]) {
      const claim = newClaim({ lease: 10, retention: 50 })
      await store.claim(claim)
      await store.complete(claim, kept)
      await until(signal, async () => await store.get(claim.id) === null || null)
      assert.equal((await store.claim(misuse(claim))).state, 'claimed')
    }
  })
]
