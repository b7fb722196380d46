import t from 'tap'
import { until } from '../../helper.js'
import { build, gate, post } from './helper.js'
import { addEffectRoute, insert, world } from './transactions.js'
import type { EitherTx, Kind } from './transactions.js'

for (const kind of ['pg', 'Prisma'] as Kind[]) {
  await t.test(`${kind}: the work and its record are committed together, and replayed by the other instance`, async (t) => {
    const { start, effects, records } = await world(t)
    const [one, other] = [await start(kind), await start(kind)]
    for (const app of [one, other]) addEffectRoute(app)
    const first = await post(one, '/')
    t.match(first, { statusCode: 201, payload: '{"name":"run 1"}', headers: { 'idempotency-status': 'created', location: '/run%201', 'content-type': 'application/json; charset=utf-8' } })
    t.same(await records(), ['completed'])
    const replay = await post(other, '/')
    t.match(replay, { statusCode: 201, payload: '{"name":"run 1"}', headers: { 'idempotent-replayed': 'true', location: '/run%201', 'content-type': 'application/json; charset=utf-8' } })
    t.same(await effects(), ['run 1'])
  })

  await t.test(`${kind}: a throw rolls the work back and gives the key back, a unique violation too`, async (t) => {
    const { start, effects, records, pool } = await world(t)
    await pool.query('CREATE UNIQUE INDEX ON effects (name)')
    const app = await start(kind)
    addEffectRoute(app)
    await post(app, '/', { payload: { name: 'taken' } })
    const request = (name: string) => post(app, '/', { headers: { 'idempotency-key': 'second' }, payload: { name } })
    t.equal((await request('taken')).statusCode, 500)
    t.same(await records(), ['completed'])
    t.equal((await request('free')).statusCode, 201)
    t.same(await effects(), ['taken', 'free'])
  })

  await t.test(`${kind}: an answer that is not kept rolls the work back and gives the key back`, async (t) => {
    const { start, effects, records } = await world(t)
    const app = await start(kind)
    let status = 409
    app.post('/', (request, reply) => reply.transaction(async (tx: EitherTx) => {
      await insert(tx, String(status))
      return { status, body: { status } }
    }))
    const refused = await post(app, '/')
    t.match(refused, { statusCode: 409, payload: '{"status":409}', headers: { 'idempotency-status': 'created' } })
    t.same([await effects(), await records()], [[], []])
    status = 404
    t.equal((await post(app, '/')).statusCode, 404)
    status = 200
    t.match(await post(app, '/'), { statusCode: 404, payload: '{"status":404}', headers: { 'idempotent-replayed': 'true' } })
    t.same(await effects(), ['404'])
  })

  await t.test(`${kind}: without a key the handler is the same, over a plain transaction`, async (t) => {
    const { start, effects, records } = await world(t)
    const app = await start(kind)
    let status = 201
    app.post('/', (request, reply) => reply.transaction(async (tx: EitherTx) => {
      t.equal(request.idempotency, null)
      await insert(tx, `answer ${status}`)
      if (status === 500) throw new Error('after the work')
      return { status, body: { a: 1 } }
    }))
    const request = () => app.inject({ method: 'POST', url: '/', headers: { 'x-user': '1' } })
    t.match(await request(), { statusCode: 201, payload: '{"a":1}', headers: { 'content-type': 'application/json; charset=utf-8' } })
    for (status of [409, 500]) t.equal((await request()).statusCode, status)
    t.same([await effects(), await records()], [['answer 201'], []])
  })

  await t.test(`${kind}: a body that is too large is committed as a tombstone`, async (t) => {
    const { start, effects, records } = await world(t)
    const app = await start(kind, { maxResponseBytes: 10 })
    addEffectRoute(app)
    t.equal((await post(app, '/')).payload, '{"name":"run 1"}')
    t.same([await effects(), await records()], [['run 1'], ['tombstone']])
    t.match(await post(app, '/'), { statusCode: 409, payload: /RESULT_UNAVAILABLE/ })
  })

  await t.test(`${kind}: a transaction that is open for longer than maxExecution is rolled back`, async (t) => {
    const { start, effects, pool } = await world(t)
    const app = await start(kind, { maxExecution: 300 })
    const [inside, go] = [gate(), gate()]
    addEffectRoute(app, async () => { inside.open(); await go.opened })
    const answer = post(app, '/')
    await inside.opened
    await until('it is rolled back', async () => (await pool.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'")).rowCount === 0)
    go.open()
    t.equal((await answer).statusCode, 500)
    t.same(await effects(), [])
  })
}

await t.test('a function that goes on after a failed statement has committed nothing, with a key and without', async (t) => {
  const { start, effects } = await world(t)
  const app = await start('pg')
  app.post('/', (request, reply) => reply.transaction(async (tx: EitherTx) => {
    await insert(tx, 'a')
    await insert(tx, 'no\0text').catch(() => {})
    return { status: 201 }
  }))
  t.equal((await post(app, '/')).statusCode, 500)
  t.equal((await app.inject({ method: 'POST', url: '/', headers: { 'x-user': '1' } })).statusCode, 500)
  t.same(await effects(), [])
})

await t.test('a second transaction in one request is an error, and the first one counts', async (t) => {
  const { start, effects } = await world(t)
  const app = await start('pg')
  const errors: unknown[] = []
  app.post('/', async (request, reply) => {
    const run = async () => await reply.transaction(async (tx: EitherTx) => { await insert(tx, 'a'); return { status: 201, body: 'first' } })
    const first = run()
    await run().catch((error: unknown) => errors.push(error))
    await first
    await run().catch((error: unknown) => errors.push(error))
  })
  t.equal((await post(app, '/')).payload, 'first')
  t.equal((await app.inject({ method: 'POST', url: '/', headers: { 'x-user': '1' } })).payload, 'first', 'without a key')
  t.same(errors.map((error) => (error as { code: string }).code), Array.from({ length: 4 }, () => 'FST_IDEMPOTENCY_TRANSACTION_REPEATED'))
  t.same(await effects(), ['a', 'a'])
})

await t.test('request.idempotency has the transaction too', async (t) => {
  const { start, effects } = await world(t)
  const app = await start('pg')
  app.post('/', async (request) => await request.idempotency?.transaction(async (tx: EitherTx) => { await insert(tx, 'a'); return { status: 201, body: 'ok' } }))
  t.match(await post(app, '/'), { statusCode: 201, payload: 'ok' })
  t.same(await effects(), ['a'])
})

await t.test('an error after the commit is answered, and the retry gets what was committed', async (t) => {
  const { start, effects } = await world(t)
  const app = await start('pg')
  app.post('/', async (request, reply) => {
    await reply.transaction(async (tx: EitherTx) => { await insert(tx, 'a'); return { status: 201, body: 'ok' } })
    throw new Error('too late')
  })
  t.equal((await post(app, '/')).statusCode, 201)
  t.match(await post(app, '/'), { statusCode: 201, headers: { 'idempotent-replayed': 'true' } })
  t.same(await effects(), ['a'])
})

await t.test('where no client opens transactions, a transaction is an error and the guarantee fails the boot', async (t) => {
  const app = await build(t)
  app.post('/', (request, reply) => reply.transaction(async () => ({ status: 200 })))
  t.match((await post(app, '/')).json(), { code: 'FST_IDEMPOTENCY_TRANSACTION_UNAVAILABLE' })
  const { pool } = await world(t)
  const query = { query: pool.query.bind(pool) }
  await t.rejects(build(t, { store: { postgres: query }, guarantee: 'transactional' }), { code: 'FST_IDEMPOTENCY_OPTION_INVALID', message: /`guarantee` must not be 'transactional'/ })
  await t.resolves(build(t, { store: { postgres: query }, transactions: pool, guarantee: 'transactional' }))
  await t.rejects(build(t, { transactions: query as never }), { message: /option `transactions` must be a pg.Pool or a Prisma client/ })
})

await t.test('with Postgres alone, and with the plugin switched off, the handler is the same', async (t) => {
  const { start, effects, pool } = await world(t)
  const alone = await start('pg', { store: { postgres: pool } })
  const { runs } = addEffectRoute(alone)
  t.equal((await post(alone, '/')).statusCode, 201)
  t.equal((await post(alone, '/')).headers['idempotent-replayed'], 'true')
  t.equal(runs(), 1)
  const off = await start('pg', { enabled: false })
  addEffectRoute(off)
  t.equal((await post(off, '/', { payload: { name: 'off' } })).statusCode, 201)
  t.same(await effects(), ['run 1', 'off'])
})

await t.test('a double fire without a key commits once', async (t) => {
  const { start, effects } = await world(t)
  const apps = [await start('pg', { fingerprint: { window: 5_000 } }), await start('pg', { fingerprint: { window: 5_000 } })]
  for (const app of apps) addEffectRoute(app)
  const answers = await Promise.all([...apps, ...apps].map((app) => app.inject({ method: 'POST', url: '/', headers: { 'x-user': '1' }, payload: {} })))
  for (const { statusCode, payload } of answers) t.same([statusCode, payload], [201, '{"name":"run 1"}'])
  t.same(await effects(), ['run 1'])
})
