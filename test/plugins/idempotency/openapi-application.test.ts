import swagger from '@fastify/swagger'
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import Fastify from 'fastify'
import type { FastifySchema } from 'fastify'
import t from 'tap'
import idempotency from '../../../plugins/idempotency/index.js'
import type { OpenApi } from '../../openapi.js'
import { post, principal } from './helper.js'
import { build, documentOf, described, headersOf, operation } from './openapi-app.js'

await t.test('routes of children are shown, with a prefix and with a plugin that only the child has', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(swagger, { openapi: { info: { title: 'Test', version: '1' } } })
  await app.register(async (child) => {
    await child.register(idempotency, { store: 'memory', principal })
    child.post('/', async () => 'ok')
    await child.register(async (grandchild) => { grandchild.post('/er', async () => 'ok') }, { prefix: '/deep' })
  }, { prefix: '/v1' })
  app.post('/outside', async () => 'ok')
  await app.ready()
  const document = documentOf(t, app)
  const shown = Object.keys(document.paths).map((path) => [path, headersOf(operation(document, path)).length])
  t.strictSame(shown, [['/v1/', 1], ['/v1/deep/er', 1], ['/outside', 0]])
})

await t.test('a document that an onReady hook asks for is complete, and one before is refused as ever', async (t) => {
  const asked: { document?: OpenApi } = {}
  await build(t, (app) => {
    t.throws(() => app.swagger(), { message: /must be called after \.ready\(\)/ })
    app.addHook('onReady', async () => { asked.document = JSON.parse(JSON.stringify(app.swagger())) as OpenApi })
    app.post('/', async () => 'ok')
  })
  t.equal(asked.document?.paths['/']?.post?.parameters?.length, 1)
})

await t.test('a transform of the application gets the description, and its own words are the last', async (t) => {
  const transform: FastifyDynamicSwaggerOptions['transform'] = ({ schema, url }) => ({ schema: { ...schema, summary: Object.keys(schema.response as object).join() }, url })
  const app = await build(t, (app) => app.post('/', async () => 'ok'), { documentation: { transform } })
  t.match(operation(documentOf(t, app), '/'), { summary: '200,400,401,409,413,422,503' })
})

await t.test('an application whose schemas are not JSON Schema gets its document as before', async (t) => {
  class Foreign { json = { type: 'object', properties: { a: { type: 'string' } } } }
  const standard = { '~standard': { version: 1 }, json: { type: 'object' } }
  for (const body of [new Foreign(), standard, { content: { 'application/json': { schema: new Foreign() } } }]) {
    const transform: FastifyDynamicSwaggerOptions['transform'] = ({ schema, url }) => {
      if (schema?.headers !== undefined || schema?.response !== undefined) throw new Error('not a schema of ours')
      return { schema: { ...schema, body: { type: 'object' } }, url }
    }
    const app = await build(t, (app) => {
      app.setValidatorCompiler(() => () => true)
      app.post('/foreign', { schema: { body } }, async () => 'ok')
      app.post('/bare', async () => 'ok')
    }, { documentation: { transform } })
    t.strictSame(Object.keys(documentOf(t, app).paths), ['/foreign', '/bare'])
  }
})

await t.test('a plugin that is switched off shows nothing', async (t) => {
  t.strictSame(headersOf(await described(t, undefined, {}, { options: { enabled: false } })), [])
})

await t.test('no header is validated: a missing or invalid key gets the problem of the plugin, and only after authentication', async (t) => {
  const app = await build(t, (app) => app.post('/', {
    config: { idempotency: { required: true } },
    schema: { headers: { type: 'object', properties: { 'x-own': { type: 'string' } } } },
    preHandler: async ({ headers }, reply) => headers['x-user'] === undefined ? reply.code(401).send('who?') : undefined
  }, async () => 'ok'))
  app.swagger()
  t.equal((await app.inject({ method: 'POST', url: '/' })).payload, 'who?')
  t.match((await app.inject({ method: 'POST', url: '/', headers: { 'x-user': '1' } })).json(), { code: 'FST_IDEMPOTENCY_KEY_MISSING' })
  t.match((await post(app, '/', { headers: { 'idempotency-key': 'not valid' } })).json(), { code: 'FST_IDEMPOTENCY_KEY_INVALID' })
})

await t.test('no answer is filtered: the errors of the handler are sent whole', async (t) => {
  const schema: FastifySchema = { response: { 200: { type: 'string' } } }
  const app = await build(t, (app) => {
    for (const status of [400, 401, 409, 413, 422, 503]) app.post(`/${status}`, { schema }, async (_request, reply) => reply.code(status).send({ own: status }))
  })
  app.swagger()
  for (const status of [400, 401, 409, 413, 422, 503]) t.strictSame((await post(app, `/${status}`)).json(), { own: status })
})

await t.test('requests and other plugins see the schema of the route, which is not changed', async (t) => {
  const compiled: object[] = []
  const shared = { querystring: { type: 'object' }, headers: { type: 'object', properties: { 'x-own': { type: 'string' } } }, response: { 200: { type: 'object', additionalProperties: true } } }
  const before = JSON.stringify(shared)
  const app = await build(t, (app) => {
    app.setSerializerCompiler(({ schema }) => { compiled.push(schema as object); return JSON.stringify })
    for (const url of ['/a', '/b']) app.post(url, { schema: shared }, async ({ routeOptions: { schema } }) => ({ same: schema === shared }))
    app.post('/bare', async ({ routeOptions: { schema } }) => ({ none: schema === undefined }))
  })
  app.swagger()
  t.equal(JSON.stringify(shared), before)
  t.strictSame(compiled, [shared.response[200], shared.response[200]])
  t.strictSame([(await post(app, '/a')).json(), (await post(app, '/bare')).json()], [{ same: true }, { none: true }])
})
