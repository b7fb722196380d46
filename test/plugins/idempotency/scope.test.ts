import t from 'tap'
import { build, post, watchedStore } from './helper.js'

await t.test('the same key of another user, route, parameter or method is another request', async (t) => {
  const app = await build(t)
  const handler = async (): Promise<string> => 'ok'
  app.post('/a/:id', handler)
  app.patch('/a/:id', handler)
  app.post('/b/:id', handler)
  app.post('/a/:id/:other', handler)
  const requests: Array<Parameters<typeof post>> = [
    [app, '/a/1'], [app, '/a/2'], [app, '/b/1'], [app, '/a/1', { method: 'PATCH' }], [app, '/a/1', { headers: { 'x-user': '2' } }],
    [app, '/a/1', { headers: { 'idempotency-key': 'l' } }], [app, '/a/1/2'], [app, '/a/12'], [app, '/a/1%2F2']
  ]
  for (const request of requests) t.equal((await post(...request)).headers['idempotency-status'], 'created')
  for (const request of requests) t.equal((await post(...request)).headers['idempotency-status'], 'replayed')
})

await t.test('a caller without a principal gets 401 and the handler does not run', async (t) => {
  for (const nobody of [null, '', undefined]) {
    // A plugin in JavaScript may return undefined, for example of an optional chain.
    const app = await build(t, { principal: () => nobody as null })
    let runs = 0
    app.post('/', async () => ({ run: ++runs }))
    const answer = await post(app, '/')
    t.equal(answer.statusCode, 401)
    t.match(answer.headers, { 'www-authenticate': 'Bearer', 'content-type': /^application\/problem\+json/ })
    t.match(answer.json(), { code: 'FST_IDEMPOTENCY_PRINCIPAL_MISSING' })
    t.equal(runs, 0)
    t.same((await app.inject({ method: 'POST', url: '/' })).json(), { run: 1 }, 'without a key it is none of our business')
  }
})

await t.test('a public route knows no users', async (t) => {
  const app = await build(t, { principal: undefined, scope: 'public' })
  let runs = 0
  app.post('/', async () => ({ run: ++runs }))
  for (const user of ['1', '2']) t.same((await post(app, '/', { headers: { 'x-user': user } })).json(), { run: 1 })
})

await t.test('one route may be public where the others are not', async (t) => {
  const app = await build(t, { principal: () => null })
  app.post('/signup', { config: { idempotency: { scope: 'public' } } }, async () => 'ok')
  app.post('/orders', async () => 'ok')
  t.same([(await post(app, '/signup')).statusCode, (await post(app, '/orders')).statusCode], [200, 401])
})

await t.test('a scope function separates by what it returns, and stands in place of the principal', async (t) => {
  const app = await build(t, { principal: () => null, scope: ({ headers }) => String(headers['x-tenant']) })
  let runs = 0
  app.post('/', async () => ({ run: ++runs }))
  const tenant = async (name: string, user: string): Promise<unknown> => (await post(app, '/', { headers: { 'x-tenant': name, 'x-user': user } })).json()
  t.same([await tenant('a', '1'), await tenant('b', '1'), await tenant('a', '2')], [{ run: 1 }, { run: 2 }, { run: 1 }])
})

await t.test('a scope function cannot reach the keys of a principal', async (t) => {
  const { store } = watchedStore()
  let runs = 0
  for (const scope of ['principal', () => '1', () => 'principal'] as const) {
    const app = await build(t, { store, scope })
    app.post('/', async () => ({ run: ++runs }))
    t.equal((await post(app, '/')).headers['idempotency-status'], 'created')
  }
})

const constraints = {
  version: (name: string) => ({ constraints: { version: `${name}.0.0` }, headers: { 'accept-version': `${name}.0.0` } }),
  host: (name: string) => ({ constraints: { host: `${name}.example` }, headers: { host: `${name}.example` } })
}
for (const [what, of] of Object.entries(constraints)) {
  await t.test(`routes of one URL that differ by ${what} have keys of their own`, async (t) => {
    const app = await build(t, { fingerprint: { window: 60_000 } })
    const names = ['1', '2']
    for (const name of names) app.post('/', { constraints: of(name).constraints }, async () => ({ from: name }))
    for (const key of ['k', undefined]) {
      const headers = key === undefined ? {} : { 'idempotency-key': key }
      for (const name of names) t.strictSame((await app.inject({ method: 'POST', url: '/', headers: { 'x-user': '1', ...headers, ...of(name).headers } })).json(), { from: name })
    }
  })
}
