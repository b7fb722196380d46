import t from 'tap'
import { build, post, watchedStore } from './helper.js'

const schema = { body: { type: 'object', required: ['amount'], properties: { amount: { type: 'integer' } } } }

await t.test('a body that fails validation does not use up the key', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store })
  app.post('/', { schema }, async () => 'ok')
  t.equal((await post(app, '/', { payload: { amount: 'much' } })).statusCode, 400)
  t.same(calls, [])
  t.equal((await post(app, '/', { payload: { amount: 1 } })).headers['idempotency-status'], 'created')
})

await t.test('malformed JSON, an unknown media type and a body that is too large do not use up the key', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store }, { bodyLimit: 100 })
  app.post('/', async () => 'ok')
  const json = { 'content-type': 'application/json' }
  t.equal((await post(app, '/', { headers: json, payload: '{"a":' })).statusCode, 400)
  t.equal((await post(app, '/', { headers: { 'content-type': 'x/y' }, payload: 'a' })).statusCode, 415)
  t.equal((await post(app, '/', { headers: json, payload: { a: 'x'.repeat(200) } })).statusCode, 413)
  t.same(calls, [])
  t.equal((await post(app, '/', { headers: json, payload: { a: 1 } })).headers['idempotency-status'], 'created')
})

await t.test('authentication in the route\'s own preHandler comes before the key: nothing is claimed, nothing is replayed', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store })
  app.post('/', {
    preHandler: async (request, reply) => request.headers.authorization === 'good' ? undefined : reply.code(401).send({ error: 'who are you' })
  }, async () => 'secret')
  t.equal((await post(app, '/')).statusCode, 401)
  t.same(calls, [])
  t.equal((await post(app, '/', { headers: { authorization: 'good' } })).payload, 'secret')
  const stranger = await post(app, '/')
  t.equal(stranger.statusCode, 401)
  t.notMatch(stranger.payload, 'secret')
  t.equal((await post(app, '/', { headers: { authorization: 'good' } })).headers['idempotent-replayed'], 'true')
})

for (const hook of ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const) {
  await t.test(`authentication in an ${hook} hook of the instance, added after the plugin, comes before the key`, async (t) => {
    const { store, calls } = watchedStore()
    const app = await build(t, { store })
    app.addHook(hook, async (request: { headers: Record<string, unknown> }) => {
      if (request.headers.authorization !== 'good') throw Object.assign(new Error('who are you'), { statusCode: 401 })
    })
    app.post('/', async () => 'secret')
    t.equal((await post(app, '/')).statusCode, 401)
    t.same(calls, [])
    t.equal((await post(app, '/', { headers: { authorization: 'good' } })).payload, 'secret')
    t.equal((await post(app, '/')).statusCode, 401)
  })
}

await t.test('an answer that another preHandler gives is not kept', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store })
  app.post('/', { preHandler: [async (request, reply) => reply.send('from the hook')] }, async () => 'ok')
  t.equal((await post(app, '/')).payload, 'from the hook')
  t.same(calls, [])
})

await t.test('a callback preHandler of the route runs before the claim as well', async (t) => {
  const app = await build(t)
  const seen: unknown[] = []
  app.post('/', { preHandler: (request, reply, done) => { seen.push(request.idempotency); done() } }, async (request) => request.idempotency?.key)
  t.equal((await post(app, '/')).payload, 'k')
  t.same(seen, [null])
})

await t.test('a principal function that throws fails the request and claims nothing', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store, principal: () => { throw new Error('the token service is down') } })
  app.post('/', async () => 'ok')
  t.equal((await post(app, '/')).statusCode, 500)
  t.same(calls, [])
})
