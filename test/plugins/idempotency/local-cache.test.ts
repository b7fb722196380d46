import t from 'tap'
import { testPrefix, testRedis, until } from '../../helper.js'
import { build, pair, post, watchedStore } from './helper.js'

await t.test('a process that has replayed a record before asks the store no more, and makes all of its checks', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store, maxResponseBytes: 10 })
  let runs = 0
  app.post('/', async (_request, reply) => reply.code(201).header('location', '/1').send(String(++runs)))
  app.post('/large', async () => 'x'.repeat(11))
  await post(app, '/')
  await post(app, '/large')
  calls.length = 0
  await post(app, '/')
  await post(app, '/large')
  t.same(calls, ['claim', 'claim'], 'an answer that nobody has asked for again is not kept')
  calls.length = 0
  t.match(await post(app, '/'), { statusCode: 201, payload: '1', headers: { location: '/1', 'idempotency-status': 'replayed', 'idempotent-replayed': 'true' } })
  t.match((await post(app, '/', { payload: { other: true } })).json(), { code: 'FST_IDEMPOTENCY_KEY_REUSED' })
  t.match((await post(app, '/large')).json(), { code: 'FST_IDEMPOTENCY_RESULT_UNAVAILABLE' })
  t.same(calls, [])
  t.equal((await post(app, '/', { headers: { 'x-user': '2' } })).payload, '2')
})

await t.test('without it every replay asks the store', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store, localCache: { maxRecords: 0 } })
  app.post('/', async () => 'ok')
  for (let retry = 0; retry < 3; retry++) await post(app, '/')
  t.same(calls, ['claim', 'complete', 'claim', 'claim'])
})

await t.test('nothing is replayed after its retention, by the process that ran it or by another', async (t) => {
  let runs = 0
  const [one, other] = await pair(t, { store: { redis: testRedis(t) }, prefix: testPrefix(), lease: 1_000, retention: 1_000 }, async () => ({ run: ++runs }))
  await post(one, '/')
  const start = performance.now()
  const run = async (app: typeof one): Promise<number> => (await post(app, '/')).json<{ run: number }>().run
  t.same([await run(one), await run(other)], [1, 1])
  const second = await until('a request runs again', async () => await run(other) === 2 && performance.now() - start)
  t.ok(second >= 900, `after ${second} ms`)
  await until('the first process knows of it', async () => await run(one) === 2)
  t.equal(runs, 2)
})
