import t from 'tap'
import type { IdempotencyOptions } from '../../../plugins/idempotency/index.js'
import type { Parameter } from '../../openapi.js'
import { build, described, documentOf, headersOf, mediaTypes, names, operation, ours, ownError } from './openapi-app.js'

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
