import { createReadStream } from 'node:fs'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyInstance, RouteHandlerMethod } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { IdempotencyOptions, IdempotencyStore } from '../../../plugins/idempotency/index.js'
import { createMemoryStore } from '../../../plugins/idempotency/index.js'
import { until } from '../../helper.js'
import { build, gate, listen, post, watchedStore } from './helper.js'
import type { Gate } from './helper.js'

const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251))
const self = new URL(import.meta.url)
const webStream = (...chunks: Uint8Array[]): ReadableStream => new ReadableStream({
  start (controller) {
    for (const chunk of chunks) controller.enqueue(chunk)
    controller.close()
  }
})

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
  const client = await send(t, app)
  await client.received('200 OK')
  client.socket.pause()
  let before = -1
  await until('the source pauses', async () => {
    if (before === made) return true
    before = made
    await new Promise((resolve) => setTimeout(resolve, 100))
  })
  t.ok(made < 50_000_000, `${made} bytes`)
  client.socket.destroy()
  source.destroy()
})

for (const protectedRoute of [true, false]) {
  const title = protectedRoute ? 'and its key is used up' : 'as without the plugin'

  await t.test(`a stream that fails before its first byte is answered 500, ${title}`, async (t) => {
    const app = await build(t)
    app.post('/', { config: { idempotency: protectedRoute } }, async (request, reply) => reply.send(createReadStream(new URL('no-such-file', self))))
    const first = await post(app, '/')
    t.equal(first.statusCode, 500)
    t.match(first.json(), { code: 'ENOENT' })
    t.equal((await post(app, '/')).statusCode, protectedRoute ? 409 : 500)
  })

  for (const [what, fail] of [['fails', new Error('broken')], ['is closed early', undefined]] as const) {
    await t.test(`the connection breaks when a stream ${what} in the middle, ${title}`, async (t) => {
      const app = await build(t)
      const sources: Readable[] = []
      app.post('/', { config: { idempotency: protectedRoute } }, async (request, reply) => {
        const source = new Readable({ read () {} })
        sources.push(source)
        return reply.send(source)
      })
      const client = await send(t, app)
      await until('it runs', () => sources.length > 0)
      sources[0]?.push('first')
      await client.received('first')
      sources[0]?.destroy(fail)
      await once(client.socket, 'close')
      t.notMatch(client.text(), '0\r\n\r\n')
      if (protectedRoute) t.match((await post(app, '/')).json(), { code: 'FST_IDEMPOTENCY_RESULT_UNAVAILABLE' })
      t.equal(sources.length, 1)
    })
  }
}

await t.test('a stream whose client goes is read on, and its retry gets all of it', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store })
  let runs = 0
  const gone = gate()
  async function * work (): AsyncGenerator<string> {
    yield `run ${++runs} `
    await gone.opened
    yield 'and its end'
  }
  app.post('/', async (request, reply) => {
    reply.raw.once('close', () => { setImmediate(gone.open) })
    return reply.send(Readable.from(work()))
  })
  const client = await send(t, app)
  await client.received('run 1')
  client.socket.destroy()
  await until('it is kept', () => calls.includes('complete'))
  t.equal((await post(app, '/')).payload, 'run 1 and its end')
  t.equal(runs, 1)
})

await t.test('a stream whose client has gone before it starts is kept as well', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store })
  const [entered, gone] = [gate(), gate()]
  app.post('/', async (request, reply) => {
    reply.raw.once('close', gone.open)
    entered.open()
    await gone.opened
    return reply.send(Readable.from(['all', ' of it']))
  })
  const client = await send(t, app)
  await entered.opened
  client.socket.destroy()
  await until('it is kept', () => calls.includes('complete'))
  t.equal((await post(app, '/')).payload, 'all of it')
})

await t.test('a stream whose client goes is read no further than maxResponseBytes', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store, maxResponseBytes: 1_000_000 })
  const source = new Readable({ read () { setImmediate(() => this.push(Buffer.alloc(10_000))) } })
  app.post('/', async (request, reply) => reply.send(source))
  const client = await send(t, app)
  await client.received('200 OK')
  client.socket.destroy()
  await once(source, 'close')
  await until('the record is finished', () => calls.includes('complete'))
  t.match((await post(app, '/')).json(), { code: 'FST_IDEMPOTENCY_RESULT_UNAVAILABLE' })
})

await t.test('a stream whose client goes is read no longer than maxExecution', async (t) => {
  const { store } = watchedStore()
  const app = await build(t, { store, lease: 60, maxExecution: 30 })
  const source = new Readable({ read () {} })
  source.push('first')
  app.post('/', async (request, reply) => reply.send(source))
  const client = await send(t, app)
  await client.received('first')
  client.socket.destroy()
  await once(source, 'close').catch(() => {})
  t.ok(source.destroyed)
})

await t.test('server-sent events are not kept: a retry is told so from their start', async (t) => {
  const app = await build(t)
  const source = new Readable({ read () {} })
  app.post('/', async (request, reply) => reply.type('text/event-stream').send(source))
  const client = await send(t, app)
  source.push('data: 1\n\n')
  await client.received('data: 1')
  t.match((await post(app, '/')).json(), { code: 'FST_IDEMPOTENCY_RESULT_UNAVAILABLE' })
  client.socket.destroy()
  await until('the source is closed', () => source.destroyed)
})

await t.test('a streamed answer that is not kept gives the key back at its start', async (t) => {
  const app = await build(t)
  const sources: Readable[] = []
  app.post('/', async (request, reply) => {
    const source = new Readable({ read () {} })
    source.push(`run ${sources.push(source)}`)
    return reply.code(503).send(source)
  })
  const [one, other] = [await send(t, app), await send(t, app)]
  await one.received('run 1')
  await other.received('run 2')
  for (const source of sources) source.push(null)
  for (const client of [one, other]) await client.received('0\r\n\r\n')
})

await t.test('a stream that somebody else reads is 500 as without the plugin, and gives the key back', async (t) => {
  const app = await build(t)
  let runs = 0
  app.post('/locked', async (request, reply) => {
    if (++runs % 2 === 0) return 'ok'
    const stream = webStream(bytes)
    stream.getReader()
    return reply.send(stream)
  })
  app.post('/used', async (request, reply) => {
    if (++runs % 2 === 0) return 'ok'
    const response = new Response('a')
    await response.text()
    return reply.send(response)
  })
  for (const [url, code] of [['/locked', 'FST_ERR_REP_READABLE_STREAM_LOCKED'], ['/used', 'FST_ERR_REP_RESPONSE_BODY_CONSUMED']] as const) {
    t.match((await post(app, url)).json(), { statusCode: 500, code })
    t.equal((await post(app, url)).payload, 'ok')
  }
})

await t.test('a stream that a later hook puts something else in the place of is read and kept all the same', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store })
  const source = Readable.from([bytes, bytes]) // more than fits into the buffers on its way
  let runs = 0
  app.addHook('onSend', async (request, reply, payload) => runs === 1 && payload instanceof Readable ? 'instead' : payload)
  app.post('/', async (request, reply) => { runs++; return reply.type('image/png').send(source) })
  t.equal((await post(app, '/')).payload, 'instead')
  await until('it is kept', () => calls.includes('complete'))
  t.ok((await post(app, '/')).rawPayload.equals(Buffer.concat([bytes, bytes])))
  t.ok(source.destroyed)
})

await t.test('a store that fails at the end of a stream leaves the client its answer', async (t) => {
  const { store } = watchedStore({ complete: async () => { throw new Error('gone') } })
  const app = await build(t, { store })
  app.post('/', async (request, reply) => reply.send(Readable.from(['a', 'b'])))
  t.equal((await post(app, '/')).payload, 'ab')
})

await t.test('trailers of a streamed answer are sent', async (t) => {
  const app = await build(t)
  app.post('/', async (request, reply) => reply.trailer('x-sum', async () => '42').send(Readable.from(['a'])))
  const { payload, trailers } = await post(app, '/')
  t.same([payload, trailers], ['a', { 'x-sum': '42' }])
  t.equal((await post(app, '/')).payload, 'a')
})

interface Client {
  socket: Socket
  text: () => string
  received: (part: string) => Promise<unknown>
  /** Several turns of the event loop, which bring what has been written. */
  turn: () => Promise<void>
  isDone: () => boolean
}

/** A POST over a socket that stays open. */
async function send (t: Test, app: FastifyInstance): Promise<Client> {
  const port = app.server.listening ? (app.server.address() as { port: number }).port : await listen(app)
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  let text = ''
  socket.setEncoding('latin1').on('data', (data: string) => { text += data }).on('error', () => {})
  socket.write('POST / HTTP/1.1\r\nhost: a\r\nx-user: 1\r\nidempotency-key: k\r\ncontent-length: 0\r\n\r\n')
  return {
    socket,
    text: () => text,
    received: (part) => until(`the client has received ${part}`, () => text.includes(part)),
    async turn () { for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate) },
    isDone: () => text.includes('0\r\n\r\n')
  }
}

/** A store that tells when it is asked to complete, and waits then. */
function slowStore (): { store: IdempotencyOptions['store'], completing: Gate, completed: Gate } {
  const [completing, completed] = [gate(), gate()]
  const memory = createMemoryStore()
  const complete: IdempotencyStore['complete'] = async (claim, response) => {
    completing.open()
    await completed.opened
    return await memory.complete(claim, response)
  }
  return { store: { ...memory, complete }, completing, completed }
}
