import { once } from 'node:events'
import { connect } from 'node:net'
import type { FastifyReply } from 'fastify'
import t from 'tap'
import { until } from '../../helper.js'
import { build, gate, listen, post, raw, watchedStore } from './helper.js'

await t.test('an answer that is too large reaches the first caller whole, and a retry is told so without a second run', async (t) => {
  const app = await build(t, { maxResponseBytes: 1_000 })
  let runs = 0
  app.post<{ Params: { size: string } }>('/:size', async ({ params }) => { runs++; return 'ü'.repeat(Number(params.size) / 2) })
  t.equal((await post(app, '/1000')).rawPayload.length, 1_000)
  t.equal((await post(app, '/1000')).headers['idempotent-replayed'], 'true')
  t.equal((await post(app, '/1002')).rawPayload.length, 1_002)
  for (let retry = 0; retry < 2; retry++) {
    const answer = await post(app, '/1002')
    t.equal(answer.statusCode, 409)
    t.match(answer.json(), { code: 'FST_IDEMPOTENCY_RESULT_UNAVAILABLE', title: 'The result for this Idempotency-Key is unavailable' })
    t.notOk('retry-after' in answer.headers, 'a later retry gets no other answer')
  }
  t.equal((await post(app, '/1002', { payload: { other: true } })).statusCode, 422)
  t.equal(runs, 2)
})

await t.test('a web Response of 5xx gives the key back', async (t) => {
  const app = await build(t)
  app.post('/', async (request, reply) => reply.send(new Response('no', { status: 503 })))
  for (let retry = 0; retry < 2; retry++) t.equal((await post(app, '/')).statusCode, 503)
})

for (const [name, hijack] of [['reply.hijack()', true], ['reply.raw.end() alone', false]] as const) {
  await t.test(`after ${name} a retry is told that the answer was not kept`, async (t) => {
    const { store, calls } = watchedStore()
    const app = await build(t, { store })
    let runs = 0
    app.post('/', async (request, reply) => {
      runs++
      if (hijack) reply.hijack()
      reply.raw.end('raw')
      if (!hijack) return reply
    })
    const port = await listen(app)
    t.match(await raw(port, ['POST / HTTP/1.1', 'x-user: 1', 'idempotency-key: k']), /raw/)
    await until('the net has caught it', () => calls.includes('complete'))
    t.match((await post(app, '/')).json(), { code: 'FST_IDEMPOTENCY_RESULT_UNAVAILABLE' })
    t.equal(runs, 1)
  })
}

await t.test('after a client has left a hijacked answer a retry is told that it was not kept', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store })
  let runs = 0
  app.post('/', async (request, reply) => {
    runs++
    reply.hijack()
    reply.raw.write('data: 1')
  })
  const socket = connect(await listen(app), '127.0.0.1')
  socket.write('POST / HTTP/1.1\r\nhost: a\r\nx-user: 1\r\nidempotency-key: k\r\ncontent-length: 0\r\n\r\n')
  await once(socket, 'data')
  socket.destroy()
  await until('the net has caught it', () => calls.includes('complete'))
  t.match((await post(app, '/')).json(), { code: 'FST_IDEMPOTENCY_RESULT_UNAVAILABLE' })
  t.equal(runs, 1)
})

for (const maxRecords of [0, 10]) {
  await t.test(`an answer that cannot be sent is 500 as without the plugin, for a retry too, ${maxRecords > 0 ? 'from memory' : 'from the store'}`, async (t) => {
    const app = await build(t, { localCache: { maxRecords } })
    let runs = 0
    app.post('/', async (request, reply) => { runs++; return reply.header('location', '/名').send('ok') })
    const port = await listen(app)
    for (let retry = 0; retry < 3; retry++) {
      const answer = await raw(port, ['POST / HTTP/1.1', 'x-user: 1', 'idempotency-key: k'])
      t.match(answer, /^HTTP\/1.1 500 [^]*ERR_INVALID_CHAR/)
    }
    t.equal(runs, 1)
  })
}

await t.test('a hijacked answer of 5xx gives the key back', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store })
  app.post('/', async (request, reply) => {
    reply.hijack()
    reply.raw.statusCode = 503
    reply.raw.end()
  })
  t.equal((await post(app, '/')).statusCode, 503)
  await until('the key is back', () => calls.includes('release'))
  t.equal((await post(app, '/')).statusCode, 503)
})

await t.test('the 503 of handlerTimeout goes out while the handler runs, and does not give the key back', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store })
  const finish = gate()
  let runs = 0
  app.post('/', { handlerTimeout: 250 }, async () => {
    runs++
    await finish.opened
    return 'late'
  })
  // Without a body: Fastify 5.12.8 forgets the timeout of a request over HTTP once its body is read.
  const port = await listen(app)
  const send = (): Promise<string> => raw(port, ['POST / HTTP/1.1', 'x-user: 1', 'idempotency-key: k'])
  t.match(await send(), /^HTTP\/1.1 503 [^]*FST_ERR_HANDLER_TIMEOUT/)
  t.match(await send(), /^HTTP\/1.1 409 [^]*retry-after: \d+/)
  finish.open()
  t.match(await send(), /^HTTP\/1.1 409 /)
  t.equal(runs, 1)
  t.same(calls, ['claim'])
})

await t.test('the answer of a handler within its handlerTimeout is kept', async (t) => {
  const app = await build(t, {}, { handlerTimeout: 60_000 })
  app.post('/', async () => 'ok')
  await post(app, '/')
  t.equal((await post(app, '/')).headers['idempotent-replayed'], 'true')
})

for (const handlerTimeout of [0, 60_000]) {
  await t.test(`the answer to a client that has gone is kept for its retry${handlerTimeout > 0 ? ', with a handlerTimeout too' : ''}`, async (t) => {
    const { store, calls } = watchedStore()
    const app = await build(t, { store }, handlerTimeout > 0 ? { handlerTimeout } : {})
    const [entered, gone] = [gate(), gate()]
    let runs = 0
    app.post('/', async (request) => {
      request.raw.socket.once('close', gone.open)
      entered.open()
      await gone.opened
      return { run: ++runs }
    })
    const socket = connect(await listen(app), '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nhost: a\r\nx-user: 1\r\nidempotency-key: k\r\ncontent-length: 0\r\n\r\n')
    await entered.opened
    socket.destroy()
    await once(socket, 'close')
    await until('the answer is kept', () => calls.includes('complete'))
    const retry = await post(app, '/')
    t.same(retry.json(), { run: 1 })
    t.equal(retry.headers['idempotent-replayed'], 'true')
  })
}

const unsaid: Record<string, (reply: FastifyReply) => unknown> = {
  'without a word': (reply) => { reply.code(204) },
  'past hijack': (reply) => {
    reply.hijack()
    reply.raw.end('raw')
  },
  'on the raw response': (reply) => {
    reply.raw.end('raw')
    return reply
  }
}
for (const [how, answer] of Object.entries(unsaid)) {
  await t.test(`what a handler does that ends ${how} after its client has gone is not done again`, async (t) => {
    const { store, calls } = watchedStore()
    const app = await build(t, { store, lease: 200, maxExecution: 2_000 })
    const [entered, gone] = [gate(), gate()]
    let runs = 0
    app.post('/', async (_request, reply) => {
      runs++
      reply.raw.once('close', () => { setImmediate(gone.open) })
      entered.open()
      await gone.opened
      return answer(reply)
    })
    const socket = connect(await listen(app), '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nhost: a\r\nx-user: 1\r\nidempotency-key: k\r\ncontent-length: 0\r\n\r\n')
    await entered.opened
    socket.destroy()
    await until('it is kept', () => calls.includes('complete'), 1_500) // at `maxExecution` it would be given up
    await post(app, '/')
    t.equal(runs, 1)
  })
}
