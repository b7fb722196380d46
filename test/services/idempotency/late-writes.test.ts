import t from 'tap'
import { createLateWrites } from '../../../services/idempotency/late-writes.js'
import { createMemoryStore } from '../../../services/idempotency/stores/memory.js'
import type { IdempotencyStore } from '../../../services/idempotency/store.js'
import { silentLog } from '../../../services/log.js'
import type { Log } from '../../../services/log.js'
import { until } from '../../helper.js'
import { gate } from '../../plugins/idempotency/helper.js'
import { newClaim } from './conformance.js'
import { engineOf, ok, question, running, settings, waits } from './begin.js'

function collected (): { log: Log, messages: string[] } {
  const messages: string[] = []
  return { log: { ...silentLog, error: (_fields, message) => { messages.push(message) } }, messages }
}

/** A store whose completions fail until it is mended. */
function breakable (): { store: IdempotencyStore, mend: () => void, tries: () => number } {
  const store = createMemoryStore()
  let [broken, tries] = [true, 0]
  const complete: IdempotencyStore['complete'] = async (claim, response) => {
    tries++
    if (broken) throw new Error('the store is broken')
    return await store.complete(claim, response)
  }
  return { store: { ...store, complete }, mend: () => { broken = false }, tries: () => tries }
}

await t.test('an answer that no store took is kept as soon as one takes it, and those who wait get it at once', async (t) => {
  const { store, mend } = breakable()
  const [engine, other] = [engineOf(t, { store }), engineOf(t, { store })]
  const attempt = running(await engine.begin(question(), waits))
  const waiting = engine.begin(question(), waits)
  await until('it waits', () => engine.waiters() === 1)
  await t.rejects(engine.finish(attempt, ok), { message: 'the store is broken' })
  t.match(await waiting, { action: 'replay', response: ok, coalesced: true })
  t.match(await other.begin(question(), settings), { action: 'conflict' })
  mend()
  await until('the answer is kept', async () => (await store.get(question().id))?.state === 'completed')
  t.match(await other.begin(question(), settings), { action: 'replay', response: ok })
})

await t.test('it is tried no longer than a lease', async (t) => {
  const { store, tries } = breakable()
  const { log, messages } = collected()
  const engine = engineOf(t, { store, log })
  await t.rejects(engine.finish(running(await engine.begin(question(), { ...settings, lease: 50 })), ok))
  await until('it is given up', () => messages.length > 0)
  t.same(messages, ['an answer could not be kept: its claim ends with its lease'])
  t.ok(tries() >= 2)
})

await t.test('a late answer does not overwrite that of a later attempt', async (t) => {
  const { store, mend } = breakable()
  const [engine, other] = [engineOf(t, { store }), engineOf(t, { store })]
  const late = running(await engine.begin(question(), settings))
  await t.rejects(engine.finish(late, ok))
  await store.release(late.claim)
  const survivor = running(await other.begin(question(), settings))
  mend()
  t.equal(await other.finish(survivor, { ...ok, body: 'survivor' }), true)
  await engine.close()
  t.match(await store.get(question().id), { response: { body: 'survivor' } })
})

await t.test('no more than 1,000 are tried at once', async (t) => {
  const { log, messages } = collected()
  const release = gate()
  const writes = createLateWrites({ store: { complete: async () => { await release.opened; return true } }, log })
  const engine = engineOf(t)
  const { claim } = running(await engine.begin(question(), settings))
  for (let index = 0; index < 1_001; index++) writes.complete(claim, ok)
  t.same(messages, ['an answer could not be kept: too many wait for a store'])
  release.open()
  await writes.close()
})

await t.test('a server that stops gives them up, and does not wait for a store that hangs', async (t) => {
  const { store } = breakable()
  const hanging = engineOf(t, { store: { ...store, complete: async () => { throw new Error('the store is broken') } } })
  await t.rejects(hanging.finish(running(await hanging.begin(question('a'), settings)), ok))
  const writes = createLateWrites({ store: { complete: () => new Promise(() => {}) }, log: silentLog })
  writes.complete(running(await engineOf(t).begin(question('b'), settings)).claim, ok)
  const start = performance.now()
  await Promise.all([hanging.close(), writes.close()])
  t.ok(performance.now() - start < 5_000)
})

await t.test('what is still tried at the stop is tried once more', async (t) => {
  const { store, mend, tries } = breakable()
  const { log, messages } = collected()
  const claim = newClaim()
  await store.claim(claim)
  const late = createLateWrites({ store, log })
  late.complete(claim, ok)
  await until('it has failed', () => tries() > 0)
  mend()
  await late.close()
  t.match(await store.get(claim.id), { state: 'completed' })
  t.strictSame(messages, [])
})
