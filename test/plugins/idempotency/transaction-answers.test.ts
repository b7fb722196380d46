import t from 'tap'
import { post } from './helper.js'
import { insert, world } from './transactions.js'
import type { EitherTx } from './transactions.js'

await t.test('the bytes of first answer and replay are those of the response schema', async (t) => {
  const { start, flush } = await world(t)
  const app = await start('pg')
  const schema = (content: boolean) => ({ type: 'object', properties: { b: { type: 'string' }, a: { type: 'number' } }, description: String(content) })
  const answer = { status: 201, body: { a: '1', b: 2, secret: 'x' } }
  app.post('/plain', { schema: { response: { 201: schema(false) } } }, (request, reply) => reply.transaction(async () => answer))
  app.post('/ranged', { schema: { response: { '2xx': schema(false) } } }, (request, reply) => reply.transaction(async () => answer))
  app.post('/typed', { schema: { response: { 201: { description: '', content: { 'application/json': { schema: schema(true) } } } } } }, (request, reply) => reply.transaction(async () => answer))
  for (const url of ['/plain', '/ranged', '/typed']) {
    t.equal((await post(app, url)).payload, '{"b":"2","a":1}')
    t.match(await post(app, url), { payload: '{"b":"2","a":1}', headers: { 'idempotent-replayed': 'true' } })
    await flush()
    const other = await start('pg')
    other.post(url, (request, reply) => reply.transaction(async () => ({ status: 200, body: 'another' })))
    t.match(await post(other, url), { statusCode: 201, payload: '{"b":"2","a":1}', headers: { 'idempotent-replayed': 'true' } }, 'of the row')
  }
})

const bodies: Array<[string, unknown, Record<string, string>, string, string | undefined]> = [
  ['text', 'ü', {}, 'ü', 'text/plain; charset=utf-8'],
  ['JSON that is text', '{"a":1}', { 'Content-Type': 'application/json' }, '{"a":1}', 'application/json; charset=utf-8'],
  ['null', null, {}, 'null', 'application/json; charset=utf-8'],
  ['a Buffer', Buffer.from([0, 255, 10]), {}, '\0\xff\n', 'application/octet-stream'],
  ['a typed array', new Uint8Array([1, 2]).subarray(1), { 'content-type': 'image/x' }, '\x02', 'image/x'],
  ['nothing', undefined, {}, '', undefined]
]

for (const [name, body, headers, expected, contentType] of bodies) {
  await t.test(`a body of ${name} is sent as Fastify would, first and again, from Redis and from the row`, async (t) => {
    const { start, flush } = await world(t)
    const app = await start('pg')
    app.post('/', (request, reply) => reply.transaction(async () => ({ status: body === undefined ? 204 : 200, headers, body })))
    app.post('/usual', { config: { idempotency: false } }, async (request, reply) => reply.code(body === undefined ? 204 : 200).headers(headers).send(body))
    const usual = await post(app, '/usual')
    const bytes = (text: Buffer): string => text.toString(name === 'text' ? 'utf8' : 'latin1')
    t.same([bytes(usual.rawPayload), usual.headers['content-type']], [expected, contentType])
    for (const replayed of [undefined, 'true', 'true']) {
      const answer = await post(app, '/')
      t.same([answer.statusCode, bytes(answer.rawPayload), answer.headers['content-type'], answer.headers['idempotent-replayed']], [usual.statusCode, expected, contentType, replayed])
      if (replayed !== undefined) await flush()
    }
  })
}

await t.test('headers that are not kept are sent once, those of replayHeaders again', async (t) => {
  const { start } = await world(t)
  const app = await start('pg', { replayHeaders: ['x-kept'] })
  app.post('/', (request, reply) => reply.transaction(async () => ({ status: 200, headers: { 'X-Kept': '1', 'x-once': '2', link: ['<a>', '<b>'] }, body: 'a' })))
  t.match((await post(app, '/')).headers, { 'x-kept': '1', 'x-once': '2', link: ['<a>', '<b>'] })
  const { headers } = await post(app, '/')
  t.match(headers, { 'x-kept': '1', link: ['<a>', '<b>'] })
  t.notHas(headers, { 'x-once': String })
})

await t.test('an error after the status was chosen has its own status', async (t) => {
  const { start } = await world(t)
  const app = await start('pg')
  app.post('/', { schema: { response: { 201: { type: 'object', required: ['a'], properties: { a: { type: 'string' } } } } } }, (request, reply) => reply.transaction(async () => ({ status: 201, body: {} })))
  t.equal((await post(app, '/')).statusCode, 500)
})

await t.test('an answer without a status, and a stream, are errors that roll back', async (t) => {
  const { start, effects } = await world(t)
  const app = await start('pg')
  const answers = Object.entries({ '/none': undefined, '/status': { status: '200' }, '/stream': { status: 200, body: new Blob(['a']).stream() }, '/response': { status: 200, body: new Response('a') } })
  for (const [url, answer] of answers) {
    app.post(url, (request, reply) => reply.transaction(async (tx: EitherTx) => {
      await insert(tx, url)
      return answer as unknown as { status: number }
    }))
  }
  for (const [url] of answers) {
    t.match((await post(app, url)).json(), { statusCode: 500, code: 'FST_IDEMPOTENCY_ANSWER_INVALID' })
  }
  t.same(await effects(), [])
})
