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

await t.test('the bytes of first answer and replay are those of the response schema', async (t) => {
  const { start, flush } = await world(t)
  const app = await start('pg')
  const schema = (content: boolean) => ({ type: 'object', properties: { b: { type: 'string' }, a: { type: 'number' } }, description: String(content) })
  const answer = { status: 201, body: { a: '1', b: 2, secret: 'x' } }
  app.post('/plain', { schema: { response: { 201: schema(false) } } }, (request, reply) => reply.transaction(async () => answer))
  app.post('/ranged', { schema: { response: { '2xx': schema(false) } } }, (request, reply) => reply.transaction(async () => answer))
  app.post('/typed', { schema: { response: { 201: { description: '', content: { 'application/json': { schema: schema(true) } } } } } }, (request, reply) => reply.transaction(async () => answer))
  for (const url of ['/plain', '/ranged', '/typed']) {
    t.equal((await post(app, url)).payload, '{"b":"2","a":1}')
    t.match(await post(app, url), { payload: '{"b":"2","a":1}', headers: { 'idempotent-replayed': 'true' } })
    await flush()
    const other = await start('pg')
    other.post(url, (request, reply) => reply.transaction(async () => ({ status: 200, body: 'another' })))
    t.match(await post(other, url), { statusCode: 201, payload: '{"b":"2","a":1}', headers: { 'idempotent-replayed': 'true' } }, 'of the row')
  }
})

const bodies: Array<[string, unknown, Record<string, string>, string, string | undefined]> = [
  ['text', 'ü', {}, 'ü', 'text/plain; charset=utf-8'],
  ['JSON that is text', '{"a":1}', { 'Content-Type': 'application/json' }, '{"a":1}', 'application/json; charset=utf-8'],
  ['null', null, {}, 'null', 'application/json; charset=utf-8'],
  ['a Buffer', Buffer.from([0, 255, 10]), {}, '\0\xff\n', 'application/octet-stream'],
  ['a typed array', new Uint8Array([1, 2]).subarray(1), { 'content-type': 'image/x' }, '\x02', 'image/x'],
  ['nothing', undefined, {}, '', undefined]
]

for (const [name, body, headers, expected, contentType] of bodies) {
  await t.test(`a body of ${name} is sent as Fastify would, first and again, from Redis and from the row`, async (t) => {
    const { start, flush } = await world(t)
    const app = await start('pg')
    app.post('/', (request, reply) => reply.transaction(async () => ({ status: body === undefined ? 204 : 200, headers, body })))
    app.post('/usual', { config: { idempotency: false } }, async (request, reply) => reply.code(body === undefined ? 204 : 200).headers(headers).send(body))
    const usual = await post(app, '/usual')
    const bytes = (text: Buffer): string => text.toString(name === 'text' ? 'utf8' : 'latin1')
    t.same([bytes(usual.rawPayload), usual.headers['content-type']], [expected, contentType])
    for (const replayed of [undefined, 'true', 'true']) {
      const answer = await post(app, '/')
      t.same([answer.statusCode, bytes(answer.rawPayload), answer.headers['content-type'], answer.headers['idempotent-replayed']], [usual.statusCode, expected, contentType, replayed])
      if (replayed !== undefined) await flush()
    }
  })
}

await t.test('headers that are not kept are sent once, those of replayHeaders again', async (t) => {
  const { start } = await world(t)
  const app = await start('pg', { replayHeaders: ['x-kept'] })
  app.post('/', (request, reply) => reply.transaction(async () => ({ status: 200, headers: { 'X-Kept': '1', 'x-once': '2', link: ['<a>', '<b>'] }, body: 'a' })))
  t.match((await post(app, '/')).headers, { 'x-kept': '1', 'x-once': '2', link: ['<a>', '<b>'] })
  const { headers } = await post(app, '/')
  t.match(headers, { 'x-kept': '1', link: ['<a>', '<b>'] })
  t.notHas(headers, { 'x-once': String })
})

await t.test('an error after the status was chosen has its own status', async (t) => {
  const { start } = await world(t)
  const app = await start('pg')
  app.post('/', { schema: { response: { 201: { type: 'object', required: ['a'], properties: { a: { type: 'string' } } } } } }, (request, reply) => reply.transaction(async () => ({ status: 201, body: {} })))
  t.equal((await post(app, '/')).statusCode, 500)
})

await t.test('an answer without a status, and a stream, are errors that roll back', async (t) => {
  const { start, effects } = await world(t)
  const app = await start('pg')
  const answers = Object.entries({ '/none': undefined, '/status': { status: '200' }, '/stream': { status: 200, body: new Blob(['a']).stream() }, '/response': { status: 200, body: new Response('a') } })
  for (const [url, answer] of answers) {
    app.post(url, (request, reply) => reply.transaction(async (tx: EitherTx) => {
      await insert(tx, url)
      return answer as unknown as { status: number }
    }))
  }
  for (const [url] of answers) {
    t.match((await post(app, url)).json(), { statusCode: 500, code: 'FST_IDEMPOTENCY_ANSWER_INVALID' })
  }
  t.same(await effects(), [])
})

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
