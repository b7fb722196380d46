import swagger from '@fastify/swagger'
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import Fastify from 'fastify'
import type { FastifyInstance, FastifySchema } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import idempotency from '../../../plugins/idempotency/index.js'
import type { IdempotencyOptions } from '../../../plugins/idempotency/index.js'
import { flawsOf } from '../../openapi.js'
import type { Answer, OpenApi, Operation, Parameter } from '../../openapi.js'
import { post, principal } from './helper.js'

interface Choices { options?: Partial<IdempotencyOptions>, documentation?: FastifyDynamicSwaggerOptions, version?: '3.0.3' | '3.1.0', swaggerFirst?: boolean }

/** An application with both plugins; `declare` adds its routes. */
async function build (t: Test, declare: (app: FastifyInstance) => unknown, { options, documentation, version = '3.1.0', swaggerFirst = true }: Choices = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  const register = async (): Promise<void> => { await app.register(swagger, { openapi: { openapi: version, info: { title: 'Test', version: '1' } }, ...documentation }) }
  if (swaggerFirst) await register()
  await app.register(idempotency, { store: 'memory', principal, ...options })
  if (!swaggerFirst) await register()
  await declare(app)
  await app.ready()
  return app
}

function documentOf (t: Test, app: FastifyInstance): OpenApi {
  const document = JSON.parse(JSON.stringify(app.swagger())) as OpenApi
  t.strictSame(flawsOf(document), [], 'the document is valid')
  return document
}

/** The description of one route. */
async function described (t: Test, schema: FastifySchema | undefined, idempotency: IdempotencyOptions | object = {}, choices: Choices = {}): Promise<Operation> {
  const app = await build(t, (app) => app.post('/', { config: { idempotency }, ...(schema ? { schema } : {}) }, async () => 'ok'), choices)
  return operation(documentOf(t, app), '/')
}

function operation ({ paths }: OpenApi, path: string, method = 'post'): Operation {
  const found = paths[path]?.[method]
  if (!found) throw new Error(`${method} ${path} is not in the document`)
  return found
}

const headersOf = ({ parameters = [] }: Operation): Parameter[] => parameters.filter(({ in: place }) => place === 'header')
const names = (answer: Answer | undefined): string[] => Object.keys(answer?.headers ?? {})
const mediaTypes = (answer: Answer | undefined): string[] => Object.keys(answer?.content ?? {})
const ours = ['Idempotency-Status', 'Idempotent-Replayed']
const ownError = { type: 'object', description: 'Own error', properties: { message: { type: 'string' } } }

for (const version of ['3.0.3', '3.1.0'] as const) {
  for (const swaggerFirst of [true, false]) {
    await t.test(`OpenAPI ${version} with @fastify/swagger registered ${swaggerFirst ? 'before' : 'after'} the plugin shows the protection of a route without a schema`, async (t) => {
      const app = await build(t, (app) => app.post('/things/:id', async () => 'ok'), { version, swaggerFirst })
      const document = documentOf(t, app)
      t.equal(document.openapi, version)
      const { parameters, responses } = operation(document, '/things/{id}')
      t.strictSame(parameters?.map(({ in: place, name, required }) => [place, name, required]), [['header', 'Idempotency-Key', false], ['path', 'id', true]])
      t.strictSame(Object.keys(responses), ['200', '400', '401', '409', '413', '422', '503'])
      t.strictSame(names(responses['200']), ours)
      t.strictSame(mediaTypes(responses['200']), [])
      t.strictSame(responses['200']?.headers?.['Idempotency-Status']?.schema.enum, ['created', 'replayed', 'coalesced', 'bypassed'])
      t.match(app.swagger({ yaml: true }), /name: Idempotency-Key/)
    })
  }
}

await t.test('the own answers of the plugin are problem documents, and those that are repeated later say when', async (t) => {
  const { responses } = await described(t, undefined)
  for (const status of ['400', '401', '409', '413', '422', '503']) {
    t.strictSame(mediaTypes(responses[status]), ['application/problem+json'], status)
    t.strictSame(responses[status]?.content?.['application/problem+json']?.schema.required, ['type', 'title', 'status', 'code', 'detail'], status)
    t.strictSame(names(responses[status]), status === '409' || status === '503' ? ['Retry-After'] : [], status)
  }
})

await t.test('the header is required exactly where the route requires a key, and its description has the length and the form of a key', async (t) => {
  const header = async (choices: object, options: Partial<IdempotencyOptions> = {}): Promise<Parameter | undefined> => headersOf(await described(t, undefined, choices, { options }))[0]
  t.equal((await header({ required: true }))?.required, true)
  t.equal((await header({}, { required: true }))?.required, true)
  t.equal((await header({ required: false }, { required: true }))?.required, false)
  t.equal((await header({}))?.required, false)
  t.match((await header({}))?.description, /^1 to 255 visible ASCII characters, quoted .* or bare/)
  t.match((await header({ maxKeyLength: 40 }))?.description, /^1 to 40 visible/)
})

await t.test('401 is shown where the route needs a principal', async (t) => {
  t.ok('401' in (await described(t, undefined)).responses)
  t.notOk('401' in (await described(t, undefined, { scope: 'public' })).responses)
  t.notOk('401' in (await described(t, undefined, { scope: () => 'tenant' })).responses)
})

await t.test('what the route says of an answer stays, and only headers are added to it', async (t) => {
  const response = { 201: { type: 'string', headers: { 'idempotency-status': { type: 'string', description: 'Own' } } }, 409: ownError, 422: { description: 'Own', content: { 'text/plain': { schema: { type: 'string' } } } } }
  const { responses } = await described(t, { response })
  t.strictSame(responses['409']?.content?.['application/json']?.schema, ownError)
  t.equal(responses['409']?.description, 'Own error')
  t.strictSame(names(responses['409']), ['Retry-After'])
  t.strictSame([responses['422']?.description, mediaTypes(responses['422'])], ['Own', ['text/plain']])
  t.strictSame(names(responses['201']), ['idempotency-status', 'Idempotent-Replayed'])
  t.equal(responses['201']?.headers?.['idempotency-status']?.description, 'Own')
  t.notOk('200' in responses)
})

await t.test('an Idempotency-Key that the route describes itself stays, in whatever case', async (t) => {
  const headers = { type: 'object', properties: { 'idempotency-KEY': { type: 'string', description: 'Own' } } }
  const operation = await described(t, { headers }, { required: true })
  t.match(headersOf(operation), [{ name: 'idempotency-KEY', description: 'Own', required: false }])
  t.equal(headersOf(operation).length, 1)
})

await t.test('headers that the route describes stay beside the key, given there or in shared schemas', async (t) => {
  const own = { type: 'object', properties: { 'x-own': { type: 'string' } }, required: ['x-own'] }
  const app = await build(t, async (app) => {
    app.addSchema({ $id: 'tenant', type: 'object', properties: { 'x-tenant': { type: 'string' } }, required: ['x-tenant'] })
    app.post('/own', { schema: { headers: own } }, async () => 'ok')
    app.post('/shared', { schema: { headers: { $ref: 'tenant#' } } }, async () => 'ok')
    app.post('/both', { config: { idempotency: { required: true } }, schema: { headers: { allOf: [{ $ref: 'tenant#' }, own] } } }, async () => 'ok')
    await app.register(async (child) => {
      child.addSchema({ $id: 'keyed', type: 'object', properties: { 'idempotency-key': { type: 'string' } } })
      child.post('/keyed', { schema: { headers: { $ref: 'keyed#' } } }, async () => 'ok')
    })
  })
  const document = documentOf(t, app)
  const shown = (path: string): object => Object.fromEntries(headersOf(operation(document, path)).map(({ name, required }) => [name, required]))
  t.same(shown('/own'), { 'x-own': true, 'Idempotency-Key': false })
  t.same(shown('/shared'), { 'x-tenant': true, 'Idempotency-Key': false })
  t.same(shown('/both'), { 'x-tenant': true, 'x-own': true, 'Idempotency-Key': true })
  t.same(shown('/keyed'), { 'idempotency-key': false })
})

await t.test('the response headers are shown on every answer that means success', async (t) => {
  const withHeaders = async (response: object): Promise<string[]> => {
    const { responses } = await described(t, { response })
    return Object.keys(responses).filter((status) => names(responses[status]).includes('Idempotency-Status'))
  }
  const text = { type: 'string' }
  t.strictSame(await withHeaders({ 201: text, 204: { type: 'null' }, 404: text }), ['201', '204'])
  t.strictSame(await withHeaders({ '2xx': text }), ['2XX'])
  t.strictSame(await withHeaders({ 303: text }), ['303'])
  t.strictSame(await withHeaders({ default: text }), ['default'])
  t.strictSame(await withHeaders({ 404: text }), ['2XX'])
  t.strictSame(await withHeaders({}), ['200'])
})

await t.test('routes that are not protected, hidden routes and the HEAD of a GET stay as they are', async (t) => {
  const app = await build(t, (app) => {
    app.get('/get', async () => 'ok')
    app.post('/out', { config: { idempotency: false } }, async () => 'ok')
    app.post('/hidden', { schema: { hide: true } }, async () => 'ok')
    app.get('/in', { config: { idempotency: { required: true } }, schema: { operationId: 'read' } }, async () => 'ok')
  }, { documentation: { exposeHeadRoutes: true } })
  const document = documentOf(t, app)
  t.strictSame(Object.keys(document.paths), ['/get', '/out', '/in'])
  for (const [path, method] of [['/get', 'get'], ['/get', 'head'], ['/out', 'post'], ['/in', 'head']] as const) {
    const { parameters, responses } = operation(document, path, method)
    t.strictSame({ parameters, responses }, { parameters: undefined, responses: { 200: { description: 'Default Response' } } }, `${method} ${path}`)
  }
  t.equal(headersOf(operation(document, '/in', 'get'))[0]?.required, true)
})

await t.test('untagged routes stay hidden where untagged routes are', async (t) => {
  const app = await build(t, (app) => app.post('/', async () => 'ok'), { documentation: { hideUntagged: true } })
  t.strictSame(documentOf(t, app).paths, {})
})

await t.test('of a route with several methods, of which @fastify/swagger shows one description, it says which are protected', async (t) => {
  const handler = async (): Promise<string> => 'ok'
  const app = await build(t, (app) => {
    app.route({ method: ['PUT', 'POST'], url: '/some', handler })
    app.route({ method: ['PUT', 'POST'], url: '/all', config: { idempotency: { required: true } }, handler })
  }, { options: { required: true } })
  const document = documentOf(t, app)
  for (const method of ['put', 'post']) {
    const [header] = headersOf(operation(document, '/some', method))
    t.equal(header?.required, false)
    t.match(header?.description, / Only for POST\.$/)
    t.match(operation(document, '/some', method).responses['409']?.description, / Only for POST\.$/)
    const [always] = headersOf(operation(document, '/all', method))
    t.equal(always?.required, true)
    t.notMatch(always?.description, /Only for/)
  }
})

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
