import t from 'tap'
import { build, listen, post, raw } from './helper.js'

await t.test('a quoted key is replayed for the same key without quotes', async (t) => {
  const app = await build(t)
  let runs = 0
  app.post('/', async () => ({ run: ++runs }))
  t.same((await post(app, '/', { headers: { 'idempotency-key': '"abc"' } })).json(), { run: 1 })
  const replay = await post(app, '/', { headers: { 'idempotency-key': 'abc' } })
  t.same(replay.json(), { run: 1 })
  t.match(replay.headers, { 'idempotent-replayed': 'true', 'idempotency-status': 'replayed' })
})

await t.test('a key that is not valid is a 400 problem, over the wire as well, and the handler does not run', async (t) => {
  const app = await build(t)
  let runs = 0
  app.post('/', async () => { runs++ })
  const port = await listen(app)
  const refused = [
    ['Idempotency-Key:'], ['Idempotency-Key: ""'], ['Idempotency-Key: "abc'], ['Idempotency-Key: abc"'], ['Idempotency-Key: "abc";v=1'], ['Idempotency-Key: abc;v=1'],
    ['Idempotency-Key: a b'], ['Idempotency-Key: a\tb'], ['Idempotency-Key: \xe4'], [`Idempotency-Key: ${'x'.repeat(256)}`],
    ['Idempotency-Key: a', 'Idempotency-Key: b'], ['Idempotency-Key: a', 'idempotency-key: a'], ['Idempotency-Key: "a"', 'X-Between: 1', 'IDEMPOTENCY-KEY:']
  ]
  for (const lines of refused) {
    const answer = await raw(port, ['POST / HTTP/1.1', 'x-user: 1', ...lines])
    t.match(answer, /^HTTP\/1.1 400 /, lines.join(' '))
    t.match(answer, /"code":"FST_IDEMPOTENCY_KEY_INVALID"/)
  }
  t.equal(runs, 0)
})

await t.test('a key of 255 characters is taken, and white space around it does not count', async (t) => {
  const app = await build(t)
  let runs = 0
  app.post('/', async () => { runs++ })
  const port = await listen(app)
  const key = 'x'.repeat(255)
  for (const line of [`Idempotency-Key: ${key}`, `Idempotency-Key:   ${key}  `, `idempotency-key:"${key}"`]) {
    t.match(await raw(port, ['POST / HTTP/1.1', 'x-user: 1', line]), /^HTTP\/1.1 200 /)
  }
  t.equal(runs, 1)
})

await t.test('maxKeyLength shortens what is taken', async (t) => {
  const app = await build(t, { maxKeyLength: 36 })
  app.post('/', async () => 'ok')
  app.post('/short', { config: { idempotency: { maxKeyLength: 3 } } }, async () => 'ok')
  const status = async (url: string, length: number): Promise<number> => (await post(app, url, { headers: { 'idempotency-key': 'x'.repeat(length) } })).statusCode
  t.same([await status('/', 36), await status('/', 37), await status('/short', 3), await status('/short', 4)], [200, 400, 200, 400])
})

await t.test('problems are application/problem+json, are not to be cached, and lead to their page', async (t) => {
  const app = await build(t, { docs: 'https://example.com/problems/' })
  app.post('/', { config: { idempotency: { required: true } } }, async () => 'ok')
  const missing = await app.inject({ method: 'POST', url: '/', headers: { 'x-user': '1' } })
  t.equal(missing.statusCode, 400)
  t.match(missing.headers, { 'content-type': /^application\/problem\+json/, 'cache-control': 'no-store' })
  t.match(missing.json(), {
    type: 'https://example.com/problems/idempotency-key-missing',
    title: 'Idempotency-Key is missing',
    status: 400,
    code: 'FST_IDEMPOTENCY_KEY_MISSING',
    detail: /requires an Idempotency-Key/
  })
  t.match((await post(app, '/', { headers: { 'idempotency-key': 'a b' } })).json(), { title: 'Idempotency-Key is invalid', detail: /visible ASCII/ })
})
