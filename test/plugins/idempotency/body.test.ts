import t from 'tap'
import { build, post } from './helper.js'

const json = { 'content-type': 'application/json' }

await t.test('the same content in another notation is the same request', async (t) => {
  const app = await build(t)
  app.post('/', async () => 'ok')
  const same = ['{"a":1,"b":[1,{"c":2,"d":3}]}', ' { "b" : [1.0, {"d":3,"c":2e0}], "a" : 10e-1 } ']
  for (const payload of same) t.equal((await post(app, '/?x=1&y=2', { headers: json, payload })).statusCode, 200)
  t.equal((await post(app, '/?y=2&x=1', { headers: { 'content-type': 'application/json; charset=utf-8' }, payload: same[0] })).headers['idempotent-replayed'], 'true')
})

await t.test('another body, query or media type is another request', async (t) => {
  const app = await build(t)
  app.addContentTypeParser('text/json', { parseAs: 'string' }, async (request: unknown, body: string) => JSON.parse(body) as unknown)
  app.post('/', async () => 'ok')
  const payload = '{"a":1}'
  t.equal((await post(app, '/?x=1', { headers: json, payload })).statusCode, 200)
  const others: Array<Parameters<typeof post>> = [
    [app, '/?x=1', { headers: json, payload: '{"a":"1"}' }], [app, '/?x=1'], [app, '/?x=2', { headers: json, payload }], [app, '/', { headers: json, payload }],
    [app, '/?x=1&x=1', { headers: json, payload }], [app, '/?x=1', { headers: { 'content-type': 'text/json' }, payload }]
  ]
  for (const other of others) t.equal((await post(...other)).statusCode, 422)
  t.equal((await post(app, '/?x=1', { headers: json, payload })).headers['idempotent-replayed'], 'true')
})

await t.test('a body that has no canonical form is 400 and claims nothing', async (t) => {
  const app = await build(t)
  let runs = 0
  app.addContentTypeParser('x/stream', (request, payload, done) => { done(null, payload) })
  app.post('/', async () => { runs++ })
  const nested = '['.repeat(65) + ']'.repeat(65)
  for (const payload of [nested, '{"a":1e400}', '"\\ud800"', '{"a":["\\udc00"]}']) {
    const answer = await post(app, '/', { headers: json, payload })
    t.equal(answer.statusCode, 400)
    t.match(answer.json(), { code: 'FST_IDEMPOTENCY_BODY_INVALID' })
  }
  t.match((await post(app, '/', { headers: { 'content-type': 'x/stream' }, payload: 'a' })).json(), { code: 'FST_IDEMPOTENCY_BODY_INVALID' })
  t.equal(runs, 0)
  t.equal((await post(app, '/', { headers: json, payload: nested.slice(1, -1) })).statusCode, 200)
})

await t.test('the deepest body that fits is refused', async (t) => {
  const app = await build(t)
  app.post('/', async () => 'ok')
  t.equal((await post(app, '/', { headers: json, payload: '['.repeat(500_000) + ']'.repeat(500_000) })).statusCode, 400)
})

for (const place of ['an instance preHandler', 'a route preHandler', 'the handler']) {
  await t.test(`what ${place} does to the body, the query and the params does not make a retry another request`, async (t) => {
    const app = await build(t)
    let runs = 0
    const change = async (request: { body: unknown, query: unknown, params: unknown }): Promise<void> => {
      for (const part of [request.body, request.query, request.params]) Object.assign(part as object, { at: process.hrtime.bigint().toString() })
      request.body = { replaced: Math.random(), ...request.body as object }
    }
    if (place === 'an instance preHandler') app.addHook('preHandler', change)
    app.post('/:id', { preHandler: place === 'a route preHandler' ? change : [] }, async (request) => {
      if (place === 'the handler') await change(request)
      return { run: ++runs }
    })
    for (let retry = 0; retry < 3; retry++) t.same((await post(app, '/1?a=b', { payload: { c: 1 } })).json(), { run: 1 })
    t.equal((await post(app, '/1?a=b', { payload: { c: 2 } })).statusCode, 422)
  })
}

await t.test('defaults and coercion of the schema count: the fingerprint is of what the handler sees', async (t) => {
  const app = await build(t)
  app.post('/', { schema: { body: { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'string', default: 'x' } } } } }, async () => 'ok')
  t.equal((await post(app, '/', { payload: { a: '1' } })).headers['idempotency-status'], 'created')
  t.equal((await post(app, '/', { payload: { a: 1, b: 'x' } })).headers['idempotency-status'], 'replayed')
})
