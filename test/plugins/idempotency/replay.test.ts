import { gzipSync } from 'node:zlib'
import Fastify from 'fastify'
import type { FastifyReply, RouteHandlerMethod } from 'fastify'
import t from 'tap'
import idempotency from '../../../plugins/idempotency/index.js'
import { until } from '../../helper.js'
import { build, post, principal } from './helper.js'

const bytes = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256))

const answers: Record<string, RouteHandlerMethod> = {
  '201 with JSON, a location and two links': async (request, reply) =>
    reply.code(201).headers({ location: '/things/1', link: ['<a>; rel=next', '<b>; rel=prev'], etag: '"1"' }).send({ id: 1, name: 'ü\n' }),
  '200 with text': async () => 'text ü',
  '200 with an empty text': async () => '',
  '200 with JSON null': async () => null,
  '200 with bytes': async () => bytes,
  '200 with bytes of a type': async (request, reply) => reply.type('image/png').send(bytes),
  '200 with bytes that read as JSON, without a charset': async (request, reply) => reply.header('content-type', 'application/json').send(Buffer.from('{"a":1}')),
  '200 with a view of a larger buffer': async () => new Uint8Array(bytes.buffer, bytes.byteOffset + 10, 20),
  '200 with JSON that the handler has compressed': async (request, reply) => reply.headers({ 'content-type': 'application/json', 'content-encoding': 'gzip' }).send(gzipSync('{"a":1}')),
  '200 with HTML of no charset': async (request, reply) => reply.header('content-type', 'text/html').send('<p>ü'),
  '200 with JSON of another type': async (request, reply) => reply.header('content-type', 'application/hal+json').send({ a: 1 }),
  '201 with nothing': async (request, reply) => reply.code(201).send(),
  '204 without content': async (request, reply) => reply.code(204).send(),
  '303 to another page': async (request, reply) => reply.redirect('/other', 303),
  '404 from the handler': async (request, reply) => reply.code(404).send({ error: 'no such thing' }),
  '402 thrown': async () => { throw Object.assign(new Error('card declined'), { statusCode: 402 }) }
}

for (const [name, handler] of Object.entries(answers)) {
  await t.test(`a replay of ${name} has the same status, headers and bytes`, async (t) => {
    const app = await build(t)
    let runs = 0
    app.post('/', function (request, reply) { runs++; return handler.call(this, request, reply) })
    const [first, replay] = [await post(app, '/'), await post(app, '/')]
    t.equal(runs, 1)
    t.equal(first.statusCode, Number(/\d+/.exec(name)?.[0] ?? 200))
    t.equal(replay.statusCode, first.statusCode)
    t.equal(replay.statusMessage, first.statusMessage)
    t.ok(replay.rawPayload.equals(first.rawPayload))
    t.same({ ...replay.headers, date: '' }, { ...first.headers, date: '', 'idempotent-replayed': 'true', 'idempotency-status': 'replayed' })
    t.notHas(first.headers, { 'idempotent-replayed': String })
    t.equal(first.headers['idempotency-status'], 'created')
  })
}

await t.test('a replay has the headers of replayHeaders and never cookies or others', async (t) => {
  const app = await build(t, { replayHeaders: ['x-plugin'] })
  app.post('/', { config: { idempotency: { replayHeaders: ['x-count', 'x-list'] } } }, async (request, reply) =>
    reply.headers({ 'X-Count': 3, 'x-list': ['a', 'b'], 'x-other': '1', 'x-plugin': '1', 'set-cookie': ['a=1', 'b=2'], 'www-authenticate': 'Basic' }).send('ok'))
  const first = await post(app, '/')
  t.match(first.headers, { 'x-count': '3', 'set-cookie': ['a=1', 'b=2'], 'x-other': '1' })
  const { headers } = await post(app, '/')
  t.match(headers, { 'x-count': '3', 'x-list': ['a', 'b'] })
  for (const name of ['set-cookie', 'x-other', 'www-authenticate', 'x-plugin']) t.notOk(name in headers, `${name}: the list of the route stands in place of the plugin's`)
})

await t.test('a replay is read from the record by every later retry', async (t) => {
  const app = await build(t)
  let runs = 0
  app.post('/', async () => ({ run: ++runs }))
  for (let retry = 0; retry < 5; retry++) t.same((await post(app, '/')).json(), { run: 1 })
})

await t.test('the next request after the retention runs', async (t) => {
  const app = await build(t, { lease: 1, retention: 1 })
  let runs = 0
  app.post('/', async () => ({ run: ++runs }))
  await post(app, '/')
  await until('the next one runs', async () => (await post(app, '/')).json<{ run: number }>().run === 2)
})

await t.test('an onSend hook of the application that changes the payload applies once to both, and sees the same kind of payload', async (t) => {
  const app = await build(t)
  const kinds: string[] = []
  app.addHook('onSend', async (request, reply: FastifyReply, payload) => {
    kinds.push(Buffer.isBuffer(payload) ? 'bytes' : typeof payload)
    return typeof payload === 'string' ? `[${payload}]` : payload
  })
  app.post('/text', async () => 'text')
  app.post('/json', async () => ({ a: 1 }))
  app.post('/bytes', async () => bytes)
  app.post('/png', async (request, reply) => reply.type('image/png').send(Buffer.from('ascii')))
  app.post('/nothing', async (request, reply) => reply.code(204).send())
  const expected: Array<[string, string, string]> =
    [['/text', 'string', '[text]'], ['/json', 'string', '[{"a":1}]'], ['/bytes', 'bytes', bytes.toString()], ['/png', 'bytes', 'ascii'], ['/nothing', 'undefined', '']]
  for (const [url, kind, payload] of expected) {
    t.equal((await post(app, url)).payload, payload)
    t.equal((await post(app, url)).payload, payload)
    t.same(kinds.splice(0), [kind, kind], url)
  }
})

await t.test('a reply serializer that a hook sets is applied once', async (t) => {
  const app = await build(t)
  app.addHook('onRequest', async (request, reply) => { reply.serializer((payload: unknown) => `<${JSON.stringify(payload)}>`) })
  app.post('/', async (request, reply) => reply.type('application/json').send({ a: 1 }))
  const [first, replay] = [await post(app, '/'), await post(app, '/')]
  t.equal(first.payload, '<{"a":1}>')
  t.equal(replay.payload, first.payload)
  t.equal(replay.headers['content-type'], first.headers['content-type'])
  t.match((await post(app, '/', { payload: { other: true } })).json(), { code: 'FST_IDEMPOTENCY_KEY_REUSED' })
})

await t.test('a response schema shapes the first answer, and the replay is sent as it was', async (t) => {
  const app = await build(t)
  app.post('/', { schema: { response: { 200: { type: 'object', properties: { a: { type: 'integer' } } } } } }, async () => ({ a: 1, secret: 2 }))
  t.equal((await post(app, '/')).payload, '{"a":1}')
  t.equal((await post(app, '/')).payload, '{"a":1}')
})

await t.test('disabled, it lets every request run and required keys be absent', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(idempotency, { store: 'memory', principal, enabled: false })
  let runs = 0
  app.post('/', { config: { idempotency: { required: true } } }, async (request) => ({ run: ++runs, idempotency: request.idempotency }))
  t.same((await post(app, '/')).json(), { run: 1, idempotency: null })
  t.same((await app.inject({ method: 'POST', url: '/' })).json(), { run: 2, idempotency: null })
})
