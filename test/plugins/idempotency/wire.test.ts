import { connect } from 'node:http2'
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2'
import { buffer } from 'node:stream/consumers'
import Fastify from 'fastify'
import type { RouteHandlerMethod } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import idempotency from '../../../plugins/idempotency/index.js'
import { build, gate, listen, post, principal, raw } from './helper.js'

const bytes = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256))

const answers: Record<string, RouteHandlerMethod> = {
  json: async (request, reply) => reply.code(201).headers({ location: '/1', link: ['<a>; rel=next', '<b>; rel=prev'] }).send({ name: 'ü' }),
  bytes: async () => bytes,
  nothing: async (request, reply) => reply.code(204).send(),
  redirect: async (request, reply) => reply.redirect('/other', 303),
  refusal: async (request, reply) => reply.code(402).send({ error: 'card declined' })
}

const nameOf = (line: string): string => line.split(':')[0] ?? ''

/** The lines of the head, sorted by name, without those that a replay adds or that change with time, and the body. */
const parts = (answer: string): [string[], string] => {
  const [head = '', ...body] = answer.split('\r\n\r\n')
  return [head.split('\r\n').filter((line) => !/^(date|idempoten[^:]*):/i.test(line)).sort((one, other) => nameOf(one).localeCompare(nameOf(other))), body.join('\r\n\r\n')]
}

for (const [name, handler] of Object.entries(answers)) {
  await t.test(`over a socket a replay of ${name} has the same status line, header lines and bytes, with the same content-length`, async (t) => {
    const app = await build(t)
    app.post('/', handler)
    const port = await listen(app)
    const send = async (): Promise<string> => await raw(port, ['POST / HTTP/1.1', 'x-user: 1', 'idempotency-key: k'])
    const [first, replay] = [await send(), await send()]
    t.same(parts(replay), parts(first))
    t.match(first, /\r\nidempotency-status: created\r\n/i)
    t.match(replay, /\r\nidempotent-replayed: true\r\n/i)
    t.match(replay, /\r\nidempotency-status: replayed\r\n/i)
    if (name !== 'nothing') t.equal(Number(/content-length: (\d+)/.exec(replay)?.[1]), parts(replay)[1].length)
    if (name === 'json') t.match(replay, /\r\nlink: <a>; rel=next\r\nlink: <b>; rel=prev\r\n/i, 'two lines')
    const injected = await post(app, '/')
    t.equal(injected.rawPayload.toString('latin1'), parts(first)[1])
    t.equal(injected.headers['content-length'], /content-length: (\d+)/.exec(first)?.[1])
  })
}

await t.test('over HTTP/2 a key is read, refused, replayed and found in flight as over HTTP/1.1', async (t) => {
  const app = Fastify({ http2: true })
  t.teardown(() => app.close())
  await app.register(idempotency, { store: 'memory', principal: ({ headers }) => principal?.({ headers } as never) ?? null })
  const [entered, finish] = [gate(), gate()]
  let runs = 0
  app.post('/', async (request, reply) => reply.code(201).headers({ location: '/1', link: ['<a>', '<b>'] }).send({ run: ++runs }))
  app.post('/bytes', async () => bytes)
  app.post('/wait', async () => {
    entered.open()
    await finish.opened
    return 'ok'
  })
  const client = await dial(t, await app.listen({ port: 0, host: '127.0.0.1' }))
  const first = await ask(client, '/', ['k'])
  const replay = await ask(client, '/', ['"k"'])
  t.match(first.headers, { ':status': 201, 'idempotency-status': 'created' })
  t.match(replay.headers, { ':status': 201, location: '/1', link: '<a>, <b>', 'idempotent-replayed': 'true', 'idempotency-status': 'replayed', 'content-length': first.headers['content-length'] })
  t.ok(replay.body.equals(first.body))
  t.match((await ask(client, '/', ['a', 'b'])).headers, { ':status': 400, 'content-type': /^application\/problem\+json/ })
  t.equal((await ask(client, '/', ['a;v=1'])).headers[':status'], 400)
  t.same([(await ask(client, '/bytes', ['k'])).body, (await ask(client, '/bytes', ['k'])).body], [bytes, bytes])
  const running = ask(client, '/wait', ['k'])
  await entered.opened
  t.match((await ask(client, '/wait', ['k'])).headers, { ':status': 409, 'retry-after': '30' })
  finish.open()
  t.equal((await running).headers[':status'], 200)
  t.equal(runs, 1)
})

async function dial (t: Test, url: string): Promise<ClientHttp2Session> {
  const client = connect(url)
  t.teardown(() => client.destroy())
  await new Promise((resolve, reject) => client.once('connect', resolve).once('error', reject))
  return client
}

async function ask (client: ClientHttp2Session, path: string, key: string[]): Promise<{ headers: IncomingHttpHeaders, body: Buffer }> {
  const stream = client.request({ ':method': 'POST', ':path': path, 'x-user': '1', 'idempotency-key': key })
  const headers = new Promise<IncomingHttpHeaders>((resolve) => { stream.once('response', resolve) })
  stream.end()
  return { body: await buffer(stream), headers: await headers }
}
