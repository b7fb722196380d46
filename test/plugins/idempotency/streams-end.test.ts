import { createReadStream } from 'node:fs'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import t from 'tap'
import { until } from '../../helper.js'
import { build, gate, post, watchedStore } from './helper.js'
import { bytes, send, webStream } from './streaming.js'

const self = new URL(import.meta.url)

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
