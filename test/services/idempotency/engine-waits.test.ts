import t from 'tap'
import type { Decision } from '../../../services/idempotency/engine.js'
import { createMemoryStore } from '../../../services/idempotency/stores/memory.js'
import { until } from '../../helper.js'
import { watchedStore } from '../../plugins/idempotency/helper.js'
import { engineOf, ok, question, running, waits } from './begin.js'

const actions = async (decisions: Array<Promise<Decision>>): Promise<string[]> => (await Promise.all(decisions)).map(({ action }) => action).sort()

await t.test('duplicates of two other processes get the answer, and each process asks the store once and waits once', async (t) => {
  const { store, calls } = watchedStore()
  const [one, other, third] = [engineOf(t, { store }), engineOf(t, { store }), engineOf(t, { store })]
  const attempt = running(await one.begin(question(), waits))
  const waiting = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? other : third).begin(question(), waits))
  await until('all of them wait', () => other.waiters() + third.waiters() === 20)
  await one.finish(attempt, ok)
  for (const decision of await Promise.all(waiting)) t.same(decision, { action: 'replay', response: ok, coalesced: true })
  t.same(calls.filter((call) => call !== 'get').sort(), ['claim', 'claim', 'claim', 'complete', 'waitFor', 'waitFor'])
})

for (const processes of [1, 2]) {
  await t.test(`when the first one fails exactly one of those who wait runs, in ${processes === 1 ? 'the same process' : 'another process'}`, async (t) => {
    const store = createMemoryStore()
    const one = engineOf(t, { store })
    const other = processes === 1 ? one : engineOf(t, { store })
    const attempt = running(await one.begin(question(), waits))
    const waiting = Array.from({ length: 20 }, () => other.begin(question(), waits))
    await until('all of them wait', () => other.waiters() === 20)
    await one.release(attempt)
    const second = running(await Promise.race(waiting))
    await until('the others wait again', () => other.waiters() === 19)
    await other.finish(second, ok)
    t.same(await actions(waiting), [...Array<string>(19).fill('replay'), 'run'])
  })
}

await t.test('no more than maxWaitersPerKey wait for one key, and no more than maxWaiters in all', async (t) => {
  const engine = engineOf(t, { maxWaiters: 3 })
  const limits = { ...waits, maxWaitersPerKey: 2 }
  const attempts = [running(await engine.begin(question('a'), limits)), running(await engine.begin(question('b'), limits))]
  const waiting = [engine.begin(question('a'), limits), engine.begin(question('a'), limits)]
  await until('two wait', () => engine.waiters() === 2)
  t.match(await engine.begin(question('a'), limits), { action: 'conflict' })
  waiting.push(engine.begin(question('b'), limits))
  await until('three wait', () => engine.waiters() === 3)
  t.match(await engine.begin(question('b'), limits), { action: 'conflict' })
  for (const attempt of attempts) await engine.finish(attempt, ok)
  t.same(await actions(waiting), ['replay', 'replay', 'replay'])
  t.equal(engine.waiters(), 0)
})

await t.test('a wait ends after waitTimeout, over all tries together, and is a conflict then', async (t) => {
  const store = createMemoryStore()
  const [one, other] = [engineOf(t, { store }), engineOf(t, { store })]
  running(await one.begin(question(), waits))
  const start = performance.now()
  for (const engine of [one, other]) {
    const decision = await engine.begin(question(), { ...waits, waitTimeout: 50 })
    t.ok(decision.action === 'conflict' && decision.leaseLeft > 0 && decision.leaseLeft <= waits.lease)
  }
  t.ok(performance.now() - start >= 100)
  t.equal(other.waiters(), 0)
})

await t.test('a store that ends every wait at once is not asked for longer than waitTimeout', async (t) => {
  const engine = engineOf(t, {
    store: watchedStore({
      claim: async ({ fingerprint }) => ({ state: 'running', fingerprint, token: 'another', leaseLeft: 1_000 }),
      waitFor: async () => null
    }).store
  })
  t.match(await engine.begin(question(), { ...waits, waitTimeout: 50 }), { action: 'conflict' })
})

await t.test('who waits gets a mismatch at once when it asks for something else', async (t) => {
  const store = createMemoryStore()
  const [one, other] = [engineOf(t, { store }), engineOf(t, { store })]
  running(await one.begin(question(), waits))
  for (const engine of [one, other]) t.same(await engine.begin(question('key', 'another'), waits), { action: 'mismatch' })
})

await t.test('a wait that the store breaks off is a conflict: that another one runs is known', async (t) => {
  const { store } = watchedStore()
  running(await engineOf(t, { store }).begin(question(), waits))
  const other = engineOf(t, { store: { ...store, waitFor: async () => { throw new Error('the connection is lost') } } })
  t.match(await other.begin(question(), waits), { action: 'conflict' })
})

await t.test('before the server stops, waits for other processes are conflicts, those for its own requests are answered, and nobody begins to wait', async (t) => {
  const store = createMemoryStore()
  const [one, other] = [engineOf(t, { store }), engineOf(t, { store })]
  const attempt = running(await one.begin(question(), waits))
  const [own, foreign] = [one.begin(question(), waits), other.begin(question(), waits)]
  await until('both wait', () => one.waiters() + other.waiters() === 2)
  for (const engine of [one, other]) engine.drain()
  t.match(await foreign, { action: 'conflict' })
  t.match(await one.begin(question(), waits), { action: 'conflict' })
  await one.finish(attempt, ok)
  t.match(await own, { action: 'replay', coalesced: true })
})

await t.test('a client that is gone waits no longer, and the others wait on', async (t) => {
  const engine = engineOf(t)
  const attempt = running(await engine.begin(question(), waits))
  const client = new AbortController()
  const [left, stays] = [engine.begin({ ...question(), gone: () => client.signal }, waits), engine.begin(question(), waits)]
  await until('both wait', () => engine.waiters() === 2)
  client.abort()
  t.match(await left, { action: 'conflict' })
  t.equal(engine.waiters(), 1)
  t.match(await engine.begin({ ...question(), gone: () => AbortSignal.abort() }, waits), { action: 'conflict' })
  await engine.finish(attempt, ok)
  t.match(await stays, { action: 'replay', coalesced: true })
})
