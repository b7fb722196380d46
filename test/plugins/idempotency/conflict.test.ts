import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import t from 'tap'
import idempotency from '../../../plugins/idempotency/index.js'
import type { IdempotencyOptions } from '../../../plugins/idempotency/index.js'
import { testPrefix, testRedis } from '../../helper.js'
import { build, testPool, gate, post, principal, watchedStore } from './helper.js'

await t.test('another body under the same key is 422 while the first runs and after, and the first is still replayed', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store, localCache: { maxRecords: 0 } })
  const [entered, finish] = [gate(), gate()]
  let runs = 0
  app.post('/', async () => {
    runs++
    entered.open()
    await finish.opened
    return 'first'
  })
  const first = post(app, '/', { payload: { amount: 1 } })
  await entered.opened
  const reused = await post(app, '/', { payload: { amount: 2 } })
  t.equal(reused.statusCode, 422)
  t.match(reused.json(), { code: 'FST_IDEMPOTENCY_KEY_REUSED', title: 'Idempotency-Key is already used' })
  t.notHas(reused.headers, { 'retry-after': String })
  t.equal((await post(app, '/', { payload: { amount: 1 } })).statusCode, 409)
  finish.open()
  t.equal((await first).payload, 'first')
  t.equal((await post(app, '/', { payload: { amount: 2 } })).statusCode, 422)
  t.equal((await post(app, '/', { payload: { amount: 1 } })).payload, 'first')
  t.equal(runs, 1)
  t.same(calls, ['claim', 'complete', 'claim', 'claim'], 'its own answers write nothing')
})

await t.test('a duplicate of a running request is 409 with a title of the draft and Retry-After', async (t) => {
  const app = await build(t, { lease: 5_500 })
  const [entered, finish] = [gate(), gate()]
  app.post('/', async () => {
    entered.open()
    await finish.opened
    return 'ok'
  })
  const first = post(app, '/')
  await entered.opened
  const duplicate = await post(app, '/')
  t.equal(duplicate.statusCode, 409)
  t.match(duplicate.json(), { code: 'FST_IDEMPOTENCY_IN_FLIGHT', title: 'A request is outstanding for this Idempotency-Key' })
  t.ok(['5', '6'].includes(String(duplicate.headers['retry-after'])), `Retry-After: ${duplicate.headers['retry-after']}`)
  finish.open()
  t.equal((await first).statusCode, 200)
  t.equal((await post(app, '/')).headers['idempotent-replayed'], 'true')
})

await t.test('Retry-After is never 0', async (t) => {
  const { store } = watchedStore({ claim: async ({ fingerprint, token }) => ({ state: 'running', fingerprint, token, leaseLeft: 0 }) })
  const app = await build(t, { store })
  app.post('/', async () => 'ok')
  t.equal((await post(app, '/')).headers['retry-after'], '1')
})

type Open = (t: Test) => Promise<IdempotencyOptions['store']>
const shared: Array<[string, Open]> = [
  ['Redis', async (t) => ({ redis: testRedis(t) })],
  ['Postgres', async (t) => ({ postgres: await testPool(t) })],
  ['Redis and Postgres', async (t) => ({ redis: testRedis(t), postgres: await testPool(t) })]
]

for (const [name, open] of shared) {
  await t.test(`two instances that share ${name}: a duplicate is told what is left of the lease, and the retry gets the other one's answer`, async (t) => {
    const [entered, finish] = [gate(), gate()]
    const [one, other] = await instances(t, await open(t), async () => {
      entered.open()
      await finish.opened
      return 'from one'
    })
    const first = post(one, '/')
    await entered.opened
    const duplicate = await post(other, '/')
    t.equal(duplicate.statusCode, 409)
    const left = Number(duplicate.headers['retry-after'])
    t.ok(Number.isInteger(left) && left > 30 && left <= 60, `Retry-After: ${left}`)
    t.equal((await post(other, '/', { payload: { other: true } })).statusCode, 422)
    finish.open()
    t.equal((await first).payload, 'from one')
    const replay = await post(other, '/')
    t.equal(replay.payload, 'from one')
    t.equal(replay.headers['idempotent-replayed'], 'true')
  })

  await t.test(`100 concurrent duplicates over two instances that share ${name} run once`, async (t) => {
    let runs = 0
    const [one, other] = await instances(t, await open(t), async () => ({ run: ++runs }))
    const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => post(index % 2 === 0 ? one : other, '/', { payload: { a: 1 } })))
    t.equal(runs, 1)
    for (const answer of answers) t.ok(answer.statusCode === 409 || answer.payload === '{"run":1}', `${answer.statusCode} ${answer.payload}`)
    t.equal(answers.filter(({ headers }) => headers['idempotency-status'] === 'created').length, 1)
  })
}

async function instances (t: Test, store: IdempotencyOptions['store'], handler: () => Promise<unknown>): Promise<[FastifyInstance, FastifyInstance]> {
  const prefix = testPrefix()
  const start = async (): Promise<FastifyInstance> => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(idempotency, { store, principal, prefix, lease: 60_000 })
    app.post('/', handler)
    return app
  }
  return [await start(), await start()]
}
