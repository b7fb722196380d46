import t from 'tap'
import { signalOf } from '../../../services/idempotency/attempt.js'
import type { Outcome } from '../../../services/idempotency/observer.js'
import { noObserver } from '../../../services/idempotency/observer.js'
import { createMemoryStore } from '../../../services/idempotency/stores/memory.js'
import { until } from '../../helper.js'
import { watchedStore } from '../../plugins/idempotency/helper.js'
import { engineOf, handClock, ok, question, running, settings, waits } from './begin.js'

for (const [name, how] of [['are told of the conflict', settings], ['wait', waits]] as const) {
  await t.test(`1,000 duplicates in one process that ${name} ask the store once`, async (t) => {
    const { store, calls } = watchedStore()
    const engine = engineOf(t, { store })
    const first = engine.begin(question(), how)
    const begun = [first, ...Array.from({ length: 999 }, () => engine.begin(question(), { ...how, maxWaitersPerKey: 1_000 }))]
    const attempt = running(await first)
    if (how.onConcurrent === 'wait') await until('all others wait', () => engine.waiters() === 999)
    await engine.finish(attempt, ok)
    const decisions = await Promise.all(begun)
    t.equal(decisions.filter(({ action }) => action === 'run').length, 1)
    t.equal(decisions.filter(({ action }) => action === (how.onConcurrent === 'wait' ? 'replay' : 'conflict')).length, 999)
    t.same(calls, ['claim', 'complete'])
    t.equal(engine.waiters(), 0)
  })
}

await t.test('duplicates while the store is asked get what it says: a conflict, a replay, a mismatch, or its failure', async (t) => {
  const store = createMemoryStore()
  const [one, other] = [engineOf(t, { store }), engineOf(t, { store })]
  const attempt = running(await one.begin(question(), settings))
  const both = (): Promise<Array<{ action: string }>> => Promise.all([question(), question(), question('key', 'another')].map((asked) => other.begin(asked, settings)))
  t.same((await both()).map(({ action }) => action), ['conflict', 'conflict', 'mismatch'])
  await one.finish(attempt, ok)
  t.same((await both()).map(({ action }) => action), ['replay', 'replay', 'mismatch'])
  const broken = engineOf(t, { store: watchedStore({ claim: async () => { throw new Error('the store is broken') } }).store })
  const failures = await Promise.allSettled([broken.begin(question(), settings), broken.begin(question(), waits)])
  t.same(failures.map(({ status }) => status), ['rejected', 'rejected'])
  t.equal(broken.inFlight(), 0)
})

await t.test('a claim that its process lost by a crash is counted, and runs again', async (t) => {
  const clock = handClock()
  const outcomes: Outcome[] = []
  const engine = engineOf(t, { store: await crashed(clock), observer: { ...noObserver, outcome: (_layer, outcome) => { outcomes.push(outcome) } } })
  t.equal((await engine.begin(question(), settings)).action, 'run')
  t.same(outcomes, ['recovered'])
})

await t.test('after a crash a route that is uncertain answers a tombstone to every retry', async (t) => {
  const clock = handClock()
  const engine = engineOf(t, { store: await crashed(clock) })
  for (let retry = 0; retry < 2; retry++) t.equal((await engine.begin(question(), { ...settings, afterCrash: 'uncertain' })).action, 'tombstone')
  t.equal((await engine.begin(question(), settings)).action, 'tombstone')
  t.equal(engine.inFlight(), 0)
})

await t.test('a route that is uncertain does not run unprotected when the tombstone cannot be written', async (t) => {
  const store = await crashed(handClock())
  const engine = engineOf(t, { store: { ...store, complete: async () => { throw new Error('the store is broken') } } })
  t.equal((await engine.begin(question(), { ...settings, afterCrash: 'uncertain' })).action, 'tombstone')
})

await t.test('a claim lost to another process aborts the signal and is counted once, however often it is noticed', async (t) => {
  const clock = handClock()
  const store = createMemoryStore({ now: clock.now })
  const outcomes: Outcome[] = []
  const [one, other] = [engineOf(t, { store, observer: { ...noObserver, outcome: (_layer, outcome) => { outcomes.push(outcome) } } }), engineOf(t, { store })]
  const lost = running(await one.begin(question(), settings))
  clock.skip(settings.lease)
  const survivor = running(await other.begin(question(), settings))
  t.equal(signalOf(lost).aborted, false)
  t.equal(await one.finish(lost, ok), false)
  t.equal(await one.release(lost), false)
  t.equal(signalOf(lost).aborted, true)
  t.match(signalOf(lost).reason, { message: /lost to another attempt/ })
  t.same(outcomes, ['lease_lost'])
  t.equal(await other.finish(survivor, ok), true)
})

await t.test('a handler that uses its buffer again does not change what is replayed', async (t) => {
  const engine = engineOf(t)
  const body = Buffer.from('first')
  await engine.finish(running(await engine.begin(question(), settings)), { ...ok, body })
  body.write('OTHER')
  const replay = await engine.begin(question(), settings)
  t.equal(replay.action === 'replay' && Buffer.from(replay.response.body).toString(), 'first')
})

/** A store that has a claim whose process died, its lease past. */
async function crashed ({ now, skip }: ReturnType<typeof handClock>): Promise<ReturnType<typeof createMemoryStore>> {
  const store = createMemoryStore({ now })
  const { id, fingerprint } = question()
  await store.claim({ id, fingerprint, token: 'the token of the dead one', lease: settings.lease, retention: settings.retention, guarantee: 'fast' })
  skip(settings.lease)
  return store
}
