import Fastify from 'fastify'
import type { HTTPMethods } from 'fastify'
import t from 'tap'
import idempotency from '../../../plugins/idempotency/index.js'
import { build, post, principal } from './helper.js'

await t.test('POST and PATCH are protected, and the other methods ignore the header', async (t) => {
  const app = await build(t)
  const methods: HTTPMethods[] = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'POST', 'PATCH']
  for (const method of methods) app.route({ method, url: `/${method}`, exposeHeadRoute: false, handler: async (request) => request.idempotency })
  const isProtected = async (method: HTTPMethods): Promise<boolean> => 'idempotency-status' in (await post(app, `/${method}`, { method: method as 'GET', headers: { 'idempotency-key': 'a' } })).headers
  for (const method of methods) t.equal(await isProtected(method), method === 'POST' || method === 'PATCH', method)
  t.equal((await post(app, '/GET', { method: 'GET', headers: { 'idempotency-key': 'not valid' } })).statusCode, 200)
})

await t.test('a route opts in or out by its config, and HEAD of a GET route stays as it is', async (t) => {
  const app = await build(t)
  let runs = 0
  const handler = async (): Promise<object> => ({ run: ++runs })
  app.put('/in', { config: { idempotency: true } }, handler)
  app.delete('/in', { config: { idempotency: {} } }, handler)
  app.get('/in', { config: { idempotency: { required: true } } }, handler)
  app.post('/out', { config: { idempotency: false } }, handler)
  for (const method of ['PUT', 'DELETE', 'GET'] as const) {
    const [first, retry] = [await post(app, '/in', { method }), await post(app, '/in', { method })]
    t.equal(retry.payload, first.payload)
  }
  t.equal((await app.inject({ method: 'GET', url: '/in' })).statusCode, 400)
  t.equal((await app.inject({ method: 'HEAD', url: '/in' })).statusCode, 200)
  t.notSame((await post(app, '/out')).json(), (await post(app, '/out')).json())
})

await t.test('the methods option replaces the list', async (t) => {
  const app = await build(t, { methods: ['PUT'] })
  app.route({ method: ['PUT', 'POST'], url: '/', handler: async (request) => ({ protected: request.idempotency !== null }) })
  t.same((await post(app, '/', { method: 'PUT' })).json(), { protected: true })
  t.same((await post(app, '/')).json(), { protected: false })
})

await t.test('of a route with several methods those are protected that would be alone, or all when it says so', async (t) => {
  const app = await build(t)
  const handler = async (request: { idempotency: unknown }): Promise<object> => ({ protected: request.idempotency !== null })
  app.route({ method: ['GET', 'POST', 'PUT'], url: '/some', handler })
  app.route({ method: ['POST', 'PUT'], url: '/all', config: { idempotency: true }, handler })
  const seen = await Promise.all((['GET', 'POST', 'PUT'] as const).map(async (method) => (await post(app, '/some', { method })).json<{ protected: boolean }>().protected))
  t.same(seen, [false, true, false])
  t.same((await post(app, '/all', { method: 'PUT' })).json(), { protected: true })
})

await t.test('a key is optional: without one the handler runs and knows that it is not protected', async (t) => {
  const app = await build(t)
  app.post('/', async (request) => ({ idempotency: request.idempotency }))
  const answer = await app.inject({ method: 'POST', url: '/', headers: { 'x-user': '1' } })
  t.same(answer.json(), { idempotency: null })
  t.notHas(answer.headers, { 'idempotency-status': String })
})

await t.test('with a key the handler knows the key, the layer and its attempt', async (t) => {
  const app = await build(t)
  app.post('/', async (request) => ({ idempotency: request.idempotency }))
  t.match((await post(app, '/', { headers: { 'idempotency-key': '"abc"' } })).json(), { idempotency: { key: 'abc', layer: 'key', attempt: /^[\w-]{22}$/ } })
})

await t.test('required refuses requests without a key, on one route or on all', async (t) => {
  const app = await build(t, { required: true })
  app.post('/', async () => 'ok')
  app.post('/optional', { config: { idempotency: { required: false } } }, async () => 'ok')
  const without = async (url: string): Promise<number> => (await app.inject({ method: 'POST', url, headers: { 'x-user': '1' } })).statusCode
  t.same([await without('/'), await without('/optional'), (await post(app, '/')).statusCode], [400, 200, 200])
})

await t.test('routes of children, with a prefix and with both of its slashes, are protected once each', async (t) => {
  const app = await build(t)
  let runs = 0
  await app.register(async (child) => {
    child.post('/', async () => ({ run: ++runs }))
    child.post('/deep', async () => ({ run: ++runs }))
    await child.register(async (grandchild) => { grandchild.post('/er', async () => ({ run: ++runs })) }, { prefix: '/deep' })
  }, { prefix: '/v1' })
  for (const url of ['/v1', '/v1/deep', '/v1/deep/er']) t.same((await post(app, url)).json(), (await post(app, url)).json())
  t.equal(runs, 3)
  t.same((await post(app, '/v1/')).json(), { run: 1 }, 'the same route')
})

await t.test('a routes object that several declarations share is not changed', async (t) => {
  const app = await build(t)
  const options = { config: { idempotency: { required: true } } }
  app.post('/a', options, async () => 'a')
  app.post('/b', options, async () => 'b')
  t.same(options, { config: { idempotency: { required: true } } })
  t.same([(await post(app, '/a')).payload, (await post(app, '/b')).payload], ['a', 'b'])
})

await t.test('without await in front of register, a route declared in the same turn fails loudly instead of running unprotected', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const register = (): unknown => app.register(idempotency, { store: 'memory', principal })
  register() // without await: the mistake that this is about
  app.post('/', async () => 'unprotected')
  app.get('/', async () => 'ok')
  app.get('/in', { config: { idempotency: true } }, async () => 'unprotected')
  for (const method of ['POST', 'PATCH'] as const) app.route({ method, url: '/out', config: { idempotency: false }, handler: async () => 'ok' })
  const failure = await post(app, '/')
  t.equal(failure.statusCode, 500)
  t.match(failure.json(), { code: 'FST_IDEMPOTENCY_NOT_WIRED', message: /POST \/.*await app\.register/ })
  t.equal((await app.inject('/in')).statusCode, 500)
  t.same([(await app.inject('/')).statusCode, (await post(app, '/out')).statusCode, (await post(app, '/nowhere')).statusCode], [200, 200, 404])
})

await t.test('a path that no route has is 404, with a key as well', async (t) => {
  const app = await build(t, { required: true })
  app.setNotFoundHandler(async (request, reply) => reply.code(404).send('nothing here'))
  t.equal((await post(app, '/nowhere')).payload, 'nothing here')
})

await t.test('children of one application may each have a plugin of their own', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  for (const name of ['a', 'b']) {
    await app.register(async (child) => {
      await child.register(idempotency, { store: 'memory', principal, required: name === 'a' })
      child.post(`/${name}`, async () => 'ok')
    })
  }
  const without = async (url: string): Promise<number> => (await app.inject({ method: 'POST', url })).statusCode
  t.same([await without('/a'), await without('/b')], [400, 200])
})

await t.test('routes of a scope that was registered earlier answer as if the plugin were not there', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(async (scope) => { scope.get('/early', async () => 'ok') })
  await app.register(idempotency, { store: 'memory', principal })
  const response = await app.inject({ url: '/early' })
  t.equal(response.statusCode, 200)
  t.equal(response.body, 'ok')
})
