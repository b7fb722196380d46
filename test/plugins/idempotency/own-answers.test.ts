import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { build, gate, post, watchedStore } from './helper.js'
import type { IdempotencyOptions } from '../../../plugins/idempotency/index.js'

const json = { 'content-type': 'application/json' }
const refused = ['400 missing', '400 key', '400 body', '401', '413', '422', '409 in flight', '409 tombstone', '503'] as const

/** Has the plugin answer by itself, and says what reached the store meanwhile. */
const provoke: Record<typeof refused[number], (t: Test) => Promise<{ answer: LightMyRequestResponse, calls: string[] }>> = {
  '400 missing': async (t) => await once(t, { required: true }, { headers: { 'idempotency-key': undefined } }),
  '400 key': async (t) => await once(t, {}, { headers: { 'idempotency-key': 'a b' } }),
  '400 body': async (t) => await once(t, {}, { headers: json, payload: '{"a":1e400}' }),
  401: async (t) => await once(t, {}, { headers: { 'x-user': undefined } }),
  413: async (t) => await once(t, { maxRequestBytes: 10 }, { payload: { a: 'too large' } }),
  422: async (t) => {
    const { app, calls } = await start(t)
    t.equal((await post(app, '/', { payload: { a: 1 } })).statusCode, 200)
    calls.splice(0)
    const answer = await post(app, '/', { payload: { a: 2 } })
    t.equal((await post(app, '/', { payload: { a: 1 } })).headers['idempotent-replayed'], 'true', 'the record is as it was')
    return { answer, calls }
  },
  '409 in flight': async (t) => {
    const { app, calls, entered, finish } = await start(t, { lease: 2_500 })
    const first = post(app, '/wait')
    await entered.opened
    calls.splice(0)
    const answer = await post(app, '/wait')
    const seen = calls.splice(0)
    finish.open()
    t.equal((await first).statusCode, 200)
    t.equal((await post(app, '/wait')).headers['idempotent-replayed'], 'true', 'the claim is as it was')
    return { answer, calls: seen }
  },
  '409 tombstone': async (t) => {
    const { app, calls } = await start(t, { maxResponseBytes: 1 })
    await post(app, '/')
    calls.splice(0)
    const answer = await post(app, '/')
    t.equal((await post(app, '/')).statusCode, 409, 'the record is as it was')
    return { answer, calls }
  },
  503: async (t) => await once(t, { onStoreFailure: 'reject' }, {}, { claim: async () => { throw new Error('gone') } })
}

const pages: Record<typeof refused[number], string> = {
  '400 missing': 'key-missing',
  '400 key': 'key-invalid',
  '400 body': 'body-invalid',
  401: 'principal-missing',
  413: 'body-too-large',
  422: 'key-reused',
  '409 in flight': 'in-flight',
  '409 tombstone': 'result-unavailable',
  503: 'store-unavailable'
}

for (const name of refused) {
  await t.test(`the plugin's own ${name} is a problem document, is not to be cached, and writes nothing to the store`, async (t) => {
    const { answer, calls } = await provoke[name](t)
    t.equal(answer.statusCode, Number(name.slice(0, 3)))
    t.match(answer.headers, { 'content-type': /^application\/problem\+json/, 'cache-control': 'no-store' })
    t.match(answer.json(), { type: `/problems/idempotency-${pages[name]}`, title: /./, status: answer.statusCode, code: /^FST_IDEMPOTENCY_/, detail: /./ })
    t.same(calls.filter((call) => call !== 'claim'), [])
    const waits = name === '503' || name === '409 in flight'
    t.equal('retry-after' in answer.headers, waits)
    if (waits) t.match(answer.headers['retry-after'], /^[1-9]\d*$/)
    for (const header of ['idempotency-status', 'idempotent-replayed']) t.notOk(header in answer.headers, header)
  })
}

await t.test('what is refused for the request\'s sake alone does not ask the store', async (t) => {
  for (const name of ['400 missing', '400 key', '400 body', '401', '413'] as const) t.same((await provoke[name](t)).calls, [], name)
})

type Test = Parameters<typeof build>[0]

async function start (t: Test, options: Partial<IdempotencyOptions> = {}, changes: Parameters<typeof watchedStore>[0] = {}) {
  const { store, calls } = watchedStore(changes)
  const app = await build(t, { store, ...options })
  const [entered, finish] = [gate(), gate()]
  app.post('/', async () => 'ok')
  app.post('/wait', async () => {
    entered.open()
    await finish.opened
    return 'ok'
  })
  return { app, calls, entered, finish }
}

async function once (t: Test, options: Partial<IdempotencyOptions>, request: Parameters<typeof post>[2], changes?: Parameters<typeof watchedStore>[0]) {
  const { app, calls } = await start(t, options, changes)
  return { answer: await post(app, '/', request), calls }
}
