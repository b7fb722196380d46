import assert from 'node:assert/strict'
import { getEventListeners, setMaxListeners } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { Claim } from '../services/idempotency/record.js'
import type { IdempotencyStore } from '../services/idempotency/store.js'
import { newClaim, response } from './claims.js'
import { promise } from './promise.js'
import type { StorePromise } from './promise.js'
import { assertFinished, until } from './records.js'
import { soon, startWait } from './waiters.js'

const reason = new Error('the client is gone')

export const aborting: StorePromise[] = [
  promise('an aborted wait rejects soon with the reason of its signal, and the others go on', async (store, signal) => {
    const [claim, client] = [newClaim(), new AbortController()]
    await store.claim(claim)
    const [wait, other] = [startWait(store, claim, client.signal), startWait(store, claim, signal)]
    await delay(100, undefined, { signal }) // no store tells that a wait has begun
    assert.equal(wait.isOver(), false)
    client.abort(reason)
    await assertAborted(soon(wait.ended))
    assert.equal(other.isOver(), false)
    await store.complete(claim, response)
    assertFinished(await soon(other.ended), claim, response)
  }),

  promise('a wait with an aborted signal rejects with its reason', async (store) => {
    const claim = newClaim()
    await store.claim(claim)
    await assertAborted(soon(store.waitFor(claim.id, claim.token, AbortSignal.abort(reason))))
  }),

  promise('waits that are over leave neither listeners on their signal nor timers that keep the process alive', async (store, signal) => {
    const [finished, aborted, client] = [newClaim(), newClaim(), new AbortController()]
    setMaxListeners(0, client.signal)
    for (const claim of [finished, aborted]) await store.claim(claim)
    const before = timers()
    const waits = [...startWaits(store, finished, signal), ...startWaits(store, aborted, client.signal)]
    await delay(100, undefined, { signal }) // no store tells that a wait has begun
    await store.complete(finished, response)
    client.abort(reason)
    await soon(Promise.allSettled(waits))
    assert.ok(getEventListeners(signal, 'abort').length < waiters, 'listeners are left on a signal that was not aborted')
    await soon(until(signal, async () => timers() - before < waiters || null), 'timers are left that did not end')
  })
]

async function assertAborted (wait: Promise<unknown>): Promise<void> {
  const failure: unknown = await wait.then(() => null, (error: unknown) => error)
  assert.equal(failure, reason)
}

const waiters = 50

function startWaits (store: IdempotencyStore, claim: Claim, signal: AbortSignal): Array<Promise<unknown>> {
  return Array.from({ length: waiters }, () => startWait(store, claim, signal).ended)
}

/** Those of the whole process: one left by each wait shows, unless as many of other checks end at the same time. */
function timers (): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
}
