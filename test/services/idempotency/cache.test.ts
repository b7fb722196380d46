import t from 'tap'
import { createCache } from '../../../services/idempotency/cache.js'
import type { FinishedRecord } from '../../../services/idempotency/cache.js'
import { createMemoryStore } from '../../../services/idempotency/stores/memory.js'
import { until } from '../../helper.js'
import { watchedStore } from '../../plugins/idempotency/helper.js'
import { engineOf, ok, question, running, settings } from './begin.js'

const record = (body: string | Uint8Array = '', headers = {}): FinishedRecord => ({ state: 'completed', fingerprint: '', token: '', response: { status: 200, headers, body } })
const cache = { maxRecords: 10_000, maxBytes: 33_554_432 }

await t.test('the least recently used goes when there are too many records, or too many bytes of bodies and headers', async (t) => {
  for (const [limits, kept] of [
    [{ maxRecords: 2, maxBytes: 1_000_000 }, record()], [{ maxRecords: 9, maxBytes: 5_000 }, record('x'.repeat(900))],
    [{ maxRecords: 9, maxBytes: 5_000 }, record(new Uint8Array(1_800))], [{ maxRecords: 9, maxBytes: 5_000 }, record('', { link: ['x'.repeat(450), 'x'.repeat(450)] })]
  ] as const) {
    const records = createCache(limits)
    records.put('a', kept, 1_000)
    records.put('b', kept, 1_000)
    records.get('a')
    records.put('c', kept, 1_000)
    t.same(['a', 'b', 'c'].map((id) => records.get(id) !== undefined), [true, false, true])
  }
})

await t.test('a record larger than the cache is not kept', async (t) => {
  const records = createCache({ maxRecords: 10, maxBytes: 1_000 })
  records.put('a', record('x'.repeat(1_000)), 1_000)
  t.equal(records.get('a'), undefined)
})

await t.test('a record lives as long as the store keeps it, and one without a life is not kept', async (t) => {
  const records = createCache(cache)
  records.put('none', record(), 0)
  records.put('past', record(), -5)
  t.same([records.get('none'), records.get('past')], [undefined, undefined])
  records.put('a', record(), 30.5)
  t.ok(records.get('a'))
  await until('it is gone', () => records.get('a') === undefined)
})

for (const [maxRecords, maxBytes] of [[0, 1_000], [1_000, 0]] as const) {
  await t.test(`${maxRecords} records and ${maxBytes} bytes keep none`, async (t) => {
    const records = createCache({ maxRecords, maxBytes })
    records.put('a', record(), 1_000)
    t.equal(records.get('a'), undefined)
  })
}

await t.test('what was asked for again is known without the store, with its fingerprint; what was not, and what was released, is not', async (t) => {
  const { store, calls } = watchedStore()
  const engine = engineOf(t, { store, cache })
  const { id, fingerprint } = question()
  await engine.finish(running(await engine.begin(question(), settings)), ok)
  await engine.finish(running(await engine.begin(question('large'), settings)), null)
  await engine.release(running(await engine.begin(question('failed'), settings)))
  for (const key of ['key', 'large', 'failed']) t.equal(engine.recall(question(key).id, fingerprint), null)
  for (const key of ['key', 'large']) await engine.begin(question(key), settings)
  t.same(engine.recall(id, fingerprint), { action: 'replay', response: ok, coalesced: false })
  t.same(engine.recall(id, question('key', 'another').fingerprint), { action: 'mismatch' })
  t.same(engine.recall(question('large').id, fingerprint), { action: 'tombstone' })
  t.same(await engine.begin(question(), settings), { action: 'replay', response: ok, coalesced: false })
  t.same(calls, ['claim', 'complete', 'claim', 'complete', 'claim', 'release', 'claim', 'claim'])
})

for (const [left, known] of [[1_000, true], [100, false], [undefined, false]] as const) {
  await t.test(`a record that another process finished and the store keeps for ${left ?? 'an unknown number of'} ms is ${known ? '' : 'not '}known here, 100 ms after it was asked`, async (t) => {
    let time = 0
    const claim = async () => {
      time += 100 // what the answer takes
      return { state: 'completed' as const, fingerprint: question().fingerprint, token: 'another', response: ok, ...(left === undefined ? {} : { left }) }
    }
    const engine = engineOf(t, { store: { ...createMemoryStore(), claim }, cache, now: () => time })
    t.match(await engine.begin(question(), settings), { action: 'replay' })
    t.equal(engine.recall(question().id, question().fingerprint) !== null, known)
  })
}

await t.test('what a transaction has decided is known before the store hears of it, and when it never does', async (t) => {
  const { store } = watchedStore({ complete: async () => { throw new Error('the store is broken') } })
  const engine = engineOf(t, { store, cache })
  const { id, fingerprint } = question()
  const told = engine.committed(running(await engine.begin(question(), settings)), ok, false)
  t.same(engine.recall(id, fingerprint), { action: 'replay', response: ok, coalesced: false })
  await t.rejects(told, /broken/)
  t.same(engine.recall(id, fingerprint), { action: 'replay', response: ok, coalesced: false })
})
