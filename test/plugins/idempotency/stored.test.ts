import t from 'tap'
import type { IdempotencyRouteOptions } from '../../../plugins/idempotency/index.js'
import { until } from '../../helper.js'
import { build, post } from './helper.js'

const kept = [200, 201, 202, 301, 303, 400, 402, 404, 410, 415, 422, 451]
const passing = [401, 403, 408, 409, 412, 423, 425, 429]
const failed = [500, 501, 502, 503, 504]
const all = [...kept, ...passing, ...failed]

const table: Array<[string, IdempotencyRouteOptions['stored'], number[]]> = [
  ['deterministic, the default,', undefined, kept],
  ['success', 'success', [200, 201, 202]],
  ['all', 'all', all],
  ['a function', (status) => status === 503 || status === 401, [401, 503]]
]

for (const [name, stored, expected] of table) {
  await t.test(`${name} replays what it keeps and runs the rest again`, async (t) => {
    const app = await build(t)
    const runs = new Map<string, number>()
    app.post<{ Params: { status: string } }>('/:status', { config: { idempotency: { stored } } }, async ({ params: { status } }, reply) => {
      runs.set(status, (runs.get(status) ?? 0) + 1)
      return reply.code(Number(status)).send({ run: runs.get(status) })
    })
    const replayed: number[] = []
    for (const status of all) {
      await post(app, `/${status}`)
      const retry = await post(app, `/${status}`)
      t.equal(retry.statusCode, status)
      if (retry.headers['idempotent-replayed'] === 'true') replayed.push(status)
      t.same(retry.json(), { run: expected.includes(status) ? 1 : 2 })
    }
    t.same(replayed, expected)
  })
}

await t.test('a throw gives the key back: the retry runs, and its success is kept', async (t) => {
  const app = await build(t)
  let runs = 0
  app.post('/', async () => {
    if (++runs < 3) throw new Error('not yet')
    return { run: runs }
  })
  t.same([(await post(app, '/')).statusCode, (await post(app, '/')).statusCode], [500, 500])
  for (let retry = 0; retry < 2; retry++) t.same((await post(app, '/')).json(), { run: 3 })
})

await t.test('a key that was given back may come with another body', async (t) => {
  const app = await build(t)
  app.post<{ Body: { good: boolean } }>('/', async ({ body }, reply) => body.good ? 'ok' : reply.code(503).send())
  t.equal((await post(app, '/', { payload: { good: false } })).statusCode, 503)
  t.equal((await post(app, '/', { payload: { good: true } })).statusCode, 200)
})

await t.test('what an error handler makes of a throw decides', async (t) => {
  const app = await build(t)
  app.setErrorHandler(async (error, request, reply) => reply.code(422).send({ run: (error as Error).message }))
  let runs = 0
  app.post('/', async () => { throw new Error(String(++runs)) })
  for (let retry = 0; retry < 2; retry++) t.same((await post(app, '/')).json(), { run: '1' })
})

await t.test('an answer whose serialization fails gives the key back', async (t) => {
  const app = await build(t)
  let runs = 0
  app.post('/', async () => ++runs === 1 ? { big: 1n } : 'ok')
  t.equal((await post(app, '/')).statusCode, 500)
  t.equal((await post(app, '/')).payload, 'ok')
})

await t.test('a stored function that throws leaves the client its answer and the key its claim', async (t) => {
  const app = await build(t, { stored: () => { throw new Error('a bug of the user') } })
  let runs = 0
  app.post('/', async () => ({ run: ++runs }))
  t.same((await post(app, '/')).json(), { run: 1 })
  t.equal((await post(app, '/')).statusCode, 409)
})

await t.test('a policy that throws leaves the claim to its lease', async (t) => {
  const app = await build(t, { lease: 300, stored: () => { throw new Error('policy') } })
  app.post('/', async () => 'done')
  t.equal((await post(app, '/')).statusCode, 200)
  t.equal((await post(app, '/')).statusCode, 409)
  await until('its lease is over, and not extended', async () => (await post(app, '/')).statusCode === 200, 3_000)
})
