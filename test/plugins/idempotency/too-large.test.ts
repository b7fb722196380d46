import { Readable } from 'node:stream'
import { createGunzip, gzipSync } from 'node:zlib'
import t from 'tap'
import { build, listen, post, raw, watchedStore } from './helper.js'

const json = { 'content-type': 'application/json' }
const body = (size: number): string => JSON.stringify(['x'.repeat(size - 4)])

await t.test('a keyed request of more than maxRequestBytes is 413, and nothing is claimed', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store, maxRequestBytes: 1_000 })
  app.post('/', async () => 'ok')
  app.post('/larger', { config: { idempotency: { maxRequestBytes: 2_000 } } }, async () => 'ok')
  const status = async (url: string, size: number): Promise<number> => (await post(app, url, { headers: json, payload: body(size) })).statusCode
  t.equal(await status('/', 1_001), 413)
  t.same(calls, [])
  t.same([await status('/', 1_000), await status('/larger', 2_000), await status('/larger', 2_001)], [200, 200, 413])
})

await t.test('the default is 1 MiB', async (t) => {
  const app = await build(t, {}, { bodyLimit: 10_000_000 })
  app.post('/', async () => 'ok')
  t.equal((await post(app, '/', { headers: json, payload: body(1_048_577) })).statusCode, 413)
  t.equal((await post(app, '/', { headers: json, payload: body(1_048_576) })).statusCode, 200)
})

await t.test('the bytes that came count where no length was declared, over the wire and for JSON, text and bytes', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store, maxRequestBytes: 1_000 })
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, async (request: unknown, content: Buffer) => content)
  app.post('/', async () => 'ok')
  const status = async (type: string, payload: string): Promise<number> =>
    (await post(app, '/', { headers: { 'content-type': type, 'idempotency-key': String(payload.length) + type }, payload: Readable.from([Buffer.from(payload)]) })).statusCode
  const types: Array<[string, (size: number) => string]> = [['application/json', body], ['text/plain', (size) => '"'.repeat(size)], ['application/octet-stream', (size) => 'x'.repeat(size)]]
  for (const [type, make] of types) t.same([await status(type, make(1_000)), await status(type, make(1_001))], [200, 413], type)
  t.equal(calls.filter((call) => call === 'claim').length, 3)
  const port = await listen(app)
  const chunked = `${(1_001).toString(16)}\r\n${body(1_001)}\r\n0\r\n\r\n`
  const lines = ['POST / HTTP/1.1', 'x-user: 1', 'idempotency-key: wire', 'content-type: application/json', 'transfer-encoding: chunked']
  t.match(await raw(port, lines, chunked, { declared: false }), /^HTTP\/1.1 413 [^]*FST_IDEMPOTENCY_BODY_TOO_LARGE/)
})

await t.test('what a small compressed body unpacks to counts', async (t) => {
  const app = await build(t, { maxRequestBytes: 1_000 })
  app.addHook('preParsing', async (request, reply, payload) => Object.assign(payload.pipe(createGunzip()), { receivedEncodedLength: Number(request.headers['content-length']) }))
  app.post('/', async () => 'ok')
  const headers = { ...json, 'content-encoding': 'gzip' }
  t.equal((await post(app, '/', { headers, payload: gzipSync(body(1_001)) })).statusCode, 413)
  t.equal((await post(app, '/', { headers, payload: gzipSync(body(1_000)) })).statusCode, 200)
})

await t.test('without a key, and on a route that is not protected, a body of any size is none of our business', async (t) => {
  const app = await build(t, { maxRequestBytes: 10, fingerprint: true })
  let runs = 0
  app.post('/', async () => ({ run: ++runs }))
  app.put('/', async () => 'ok')
  for (let run = 1; run < 3; run++) t.same((await app.inject({ method: 'POST', url: '/', headers: { ...json, 'x-user': '1' }, payload: body(1_000) })).json(), { run })
  t.equal((await post(app, '/', { method: 'PUT', headers: json, payload: body(1_000) })).statusCode, 200)
})
