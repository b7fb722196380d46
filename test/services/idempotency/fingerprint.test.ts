import { Readable } from 'node:stream'
import t from 'tap'
import { fingerprintOf } from '../../../services/idempotency/fingerprint.js'
import type { FingerprintInput } from '../../../services/idempotency/fingerprint.js'

const base: FingerprintInput = { method: 'POST', route: '/orders/:id', query: {}, contentType: 'application/json', body: { a: 1, b: [1, 2] } }

function print (changes: Partial<FingerprintInput> = {}): string {
  const result = fingerprintOf({ ...base, ...changes })
  if (!result.ok) throw new Error(result.reason)
  return result.fingerprint
}

const json = (text: string): { body: unknown } => ({ body: JSON.parse(text) })

await t.test('it is the same 64 hex digits in every release', async (t) => {
  t.match(print(), /^[0-9a-f]{64}$/)
  t.equal(print(), 'ec5d36b6f8e31ec4e1dff98453a0ef9c8850780f23cb17458f9ce0c34b46393d', 'a change here makes every stored record answer 422: change the scheme name and this value together')
})

await t.test('what means the same has the same fingerprint', async (t) => {
  t.equal(print(json('{ "b": [1, 2],  "a": 1 }')), print(), 'order of keys')
  t.equal(print(json('{"b":[1e0,2.0],"a":10e-1}')), print(), 'notation of numbers')
  t.equal(print(json('{"\\u0061":1,"b":[1,2]}')), print(), 'escapes')
  t.equal(print({ query: { y: '2', x: '1' } }), print({ query: { x: '1', y: '2' } }), 'order of the query')
  t.equal(print({ query: undefined }), print(), 'no query')
  for (const contentType of ['application/json; charset=utf-8', 'Application/JSON ; boundary=x']) t.equal(print({ contentType }), print(), contentType)
})

await t.test('every part counts', async (t) => {
  const others: Array<Partial<FingerprintInput>> = [
    {}, { method: 'PATCH' }, { route: '/orders/:id/items' }, { query: { x: '1' } }, { query: { x: ['1', '2'] } }, { query: { x: ['2', '1'] } },
    { contentType: 'application/merge-patch+json' }, { contentType: undefined }, { body: undefined }, { body: null }, { body: {} }, { body: [] },
    { body: { a: '1', b: [1, 2] } }, { body: { a: 1, b: [2, 1] } }, { body: { a: 1, b: [1, 2], c: null } }, { body: 'text' }, { body: Buffer.from('bytes') }
  ]
  t.equal(new Set(others.map((other) => print(other))).size, others.length)
})

await t.test('parts cannot run into each other', async (t) => {
  t.not(print({ method: 'PO', route: 'ST/' }), print({ method: 'POS', route: 'T/' }))
})

await t.test('text and bytes count as they are', async (t) => {
  t.equal(print({ body: new Uint8Array([1, 2]) }), print({ body: Buffer.from([1, 2]) }))
  t.not(print({ body: '{"a":1}' }), print({ body: '{ "a":1}' }))
})

await t.test('64 levels are taken and 65 are not', async (t) => {
  const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels))
  t.match(fingerprintOf({ ...base, body: nested(64) }), { ok: true })
  t.match(fingerprintOf({ ...base, body: nested(65) }), { ok: false, reason: /deeper than 64/ })
  t.match(fingerprintOf({ ...base, body: nested(5_000) }), { ok: false, reason: /deeper/ })
  t.match(fingerprintOf({ ...base, body: { toJSON: nested(64) } }), { ok: false, reason: /deeper/ })
})

await t.test('what canonical JSON has no form for is refused', async (t) => {
  for (const text of ['[1e400]', '{"a":-1e400}', '"\\ud800"', '["\\udc00\\ud800"]', '{"\\ud800":1}']) {
    t.match(fingerprintOf({ ...base, ...json(text) }), { ok: false, reason: /\w/ }, text)
  }
})

await t.test('a body with an inside of its own, such as a stream, is refused at once', async (t) => {
  for (const body of [Readable.from(['a']), { file: Readable.from(['a']) }, new Map([['a', 1]]), [new Set([1])], new Blob(['a']), { form: new FormData() }]) {
    t.match(fingerprintOf({ ...base, body }), { ok: false, reason: /stream/ })
  }
})

await t.test('objects without a prototype, dates and bytes inside of a body count by their value', async (t) => {
  t.equal(print({ body: Object.assign(Object.create(null), base.body) }), print())
  t.equal(print({ body: { at: new Date(0) } }), print({ body: { at: '1970-01-01T00:00:00.000Z' } }))
  t.not(print({ body: { bytes: Buffer.from([1]) } }), print({ body: { bytes: Buffer.from([2]) } }))
})
