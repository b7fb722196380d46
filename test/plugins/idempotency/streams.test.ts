import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import type { RouteHandlerMethod } from 'fastify'
import t from 'tap'
import { until } from '../../helper.js'
import { build, listen, post, watchedStore } from './helper.js'
import { bytes, send, slowStore, webStream } from './streaming.js'

const self = new URL(import.meta.url)

const answers: Record<string, RouteHandlerMethod> = {
  'a stream of texts': async (request, reply) => reply.type('text/plain').send(Readable.from(['ä', 'b', '', 'ü'])),
  'a stream of bytes': async (request, reply) => reply.code(201).header('location', '/1').type('image/png').send(Readable.from([bytes.subarray(0, 10), bytes.subarray(10)])),
  'a stream of no type': async (request, reply) => reply.send(Readable.from([bytes])),
  'a stream of a file with its length': async (request, reply) => reply.headers({ 'content-type': 'text/plain', 'content-length': 1_000 }).send(createReadStream(self, { end: 999 })),
  'an empty stream': async (request, reply) => reply.type('text/plain').send(Readable.from([])),
  'a stream with an encoding': async (request, reply) => reply.type('text/plain').send(Readable.from([Buffer.from('ü'), Buffer.from('ä')], { objectMode: false }).setEncoding('utf8')),
  'a web stream': async (request, reply) => reply.type('image/png').send(webStream(bytes, new Uint8Array(bytes.buffer, bytes.byteOffset + 7, 20))),
  'a web Response': async (request, reply) => reply.header('etag', '"1"').send(new Response('ä', { status: 202, headers: [['link', '<a>'], ['link', '<b>'], ['location', '/1'], ['x-own', '1']] })),
  'a web Response without a body': async (request, reply) => reply.send(new Response(null, { status: 204 })),
  'a web Response of a redirect': async (request, reply) => reply.send(Response.redirect('http://example.com/', 303)),
  '204 in spite of a stream': async (request, reply) => reply.code(204).send(Readable.from(['a']))
}

for (const [name, handler] of Object.entries(answers)) {
  await t.test(`a replay of ${name} has the same status, headers and bytes`, async (t) => {
    const { store, calls } = watchedStore()
    const app = await build(t, { store, replayHeaders: ['x-own'] })
    let runs = 0
    app.post('/', function (request, reply) { runs++; return handler.call(this, request, reply) })
    const first = await post(app, '/')
    await until('it is kept', () => calls.includes('complete'))
    const replay = await post(app, '/')
    t.equal(runs, 1)
    t.equal(replay.statusCode, first.statusCode)
    t.ok(replay.rawPayload.equals(first.rawPayload))
    const plain = (headers: object): object => ({ ...headers, date: '', connection: '', 'transfer-encoding': '', 'content-length': '' })
    t.same(plain(replay.headers), { ...plain(first.headers), 'idempotent-replayed': 'true', 'idempotency-status': 'replayed' })
    t.equal(first.headers['idempotency-status'], 'created')
  })
}

await t.test('data goes out as it comes, and the end when the answer is kept', async (t) => {
  const { store, completing, completed } = slowStore()
  const app = await build(t, { store })
  const source = new Readable({ read () {} })
  app.post('/', async (request, reply) => reply.send(source))
  const client = await send(t, app)
  source.push('first')
  await client.received('first')
  source.push('second')
  await client.received('second')
  source.push(null)
  await completing.opened
  await client.turn()
  t.notOk(client.isDone())
  completed.open()
  await client.received('0\r\n\r\n')
})

await t.test('of an answer with a declared length the last chunk waits until it is kept', async (t) => {
  const { store, completing, completed } = slowStore()
  const app = await build(t, { store })
  const source = new Readable({ read () {} })
  app.post('/', async (request, reply) => reply.header('content-length', 6).send(source))
  const client = await send(t, app)
  source.push('one')
  await client.received('one')
  source.push('two')
  await completing.opened
  await client.turn()
  t.notMatch(client.text(), 'two')
  completed.open()
  await client.received('two')
  source.push(null)
})

await t.test('a retry at once after the end is a replay', async (t) => {
  const app = await build(t)
  let runs = 0
  app.post('/', async (request, reply) => reply.send(Readable.from([`run ${++runs}`])))
  await listen(app)
  for (let retry = 0; retry < 3; retry++) t.equal((await post(app, '/')).payload, 'run 1')
})

await t.test('a stream of maxResponseBytes is kept, and a longer one reaches the first caller whole', async (t) => {
  const app = await build(t, { maxResponseBytes: 1_000 })
  let runs = 0
  app.post<{ Params: { size: string } }>('/:size', async ({ params }, reply) => { runs++; return reply.send(Readable.from([Buffer.alloc(500), Buffer.alloc(Number(params.size) - 500)])) })
  t.equal((await post(app, '/1000')).rawPayload.length, 1_000)
  t.equal((await post(app, '/1000')).rawPayload.length, 1_000)
  t.equal((await post(app, '/1001')).rawPayload.length, 1_001)
  for (let retry = 0; retry < 2; retry++) t.match((await post(app, '/1001')).json(), { code: 'FST_IDEMPOTENCY_RESULT_UNAVAILABLE' })
  t.equal(runs, 2)
})

await t.test('past maxResponseBytes a retry is told so while the first caller still reads', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store, maxResponseBytes: 3 })
  const source = new Readable({ read () {} })
  app.post('/', async (request, reply) => reply.send(source))
  const client = await send(t, app)
  source.push('abcd')
  await client.received('abcd')
  await until('the record is finished', () => calls.includes('complete'))
  t.match((await post(app, '/')).json(), { code: 'FST_IDEMPOTENCY_RESULT_UNAVAILABLE' })
  source.push('efgh')
  source.push(null)
  await client.received('efgh')
  await client.received('0\r\n\r\n')
})

await t.test('a client that reads slowly slows the source down', async (t) => {
  const app = await build(t, { maxResponseBytes: 1_000_000_000 })
  let made = 0
  const source = new Readable({ read () { made += 65_536; this.push(Buffer.alloc(65_536)) } })
  app.post('/', async (request, reply) => reply.send(source))
  app.post('/other', async () => 'ok')
  const client = await send(t, app)
  await client.received('200 OK')
  client.socket.pause()
  const url = `http://127.0.0.1:${client.socket.remotePort}/other`
  await until('nothing is made while another request goes there and back', async () => {
    const before = made
    await fetch(url, { method: 'POST', headers: { 'x-user': '1' } }).then((answer) => answer.text())
    return made === before
  })
  t.ok(made < 50_000_000, `${made} bytes`)
  client.socket.destroy()
  source.destroy()
})
