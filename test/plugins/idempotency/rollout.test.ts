import t from 'tap'
import { isRolledOut } from '../../../services/idempotency/rollout.js'
import { build, post, watchedStore } from './helper.js'

const users = Array.from({ length: 40 }, (_, number) => `user-${number}`)

await t.test('a function switches protection off and on while the server runs', async (t) => {
  let enabled = true
  const app = await build(t, { enabled: () => enabled })
  let runs = 0
  app.post('/', async (request) => ({ run: ++runs, idempotency: request.idempotency !== null }))
  const send = async () => { const { headers, json } = await post(app, '/'); return [headers['idempotency-status'], json()] }
  t.same(await send(), ['created', { run: 1, idempotency: true }])
  enabled = false
  t.same(await send(), ['bypassed', { run: 2, idempotency: false }])
  t.same(await send(), ['bypassed', { run: 3, idempotency: false }])
  enabled = true
  t.same(await send(), ['replayed', { run: 1, idempotency: true }], 'what was recorded before is still there')
})

await t.test('a request that is left out never asks the store', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store, rolloutPercent: 0 })
  app.post('/', async () => 'ok')
  t.equal((await post(app, '/')).headers['idempotency-status'], 'bypassed')
  t.same(calls, [])
})

await t.test('a request that is left out needs no key where one is required, and its key may be any', async (t) => {
  for (const options of [{ enabled: () => false }, { rolloutPercent: 0 }, { rolloutPercent: () => 0 }]) {
    const app = await build(t, options)
    app.post('/', { config: { idempotency: { required: true } } }, async () => 'ok')
    for (const headers of [{}, { 'idempotency-key': '' }, { 'idempotency-key': '"' }]) {
      const answer = await app.inject({ method: 'POST', url: '/', headers: { 'x-user': '1', ...headers } })
      t.equal(answer.statusCode, 200)
      t.equal(answer.headers['idempotency-status'], 'bypassed')
    }
  }
})

await t.test('a request without a key is not spoken of where none is required', async (t) => {
  const app = await build(t, { enabled: () => false })
  app.post('/', async () => 'ok')
  t.notOk('idempotency-status' in (await app.inject({ method: 'POST', url: '/' })).headers)
})

await t.test('the principal decides, whatever the key: who is in today is in tomorrow', async (t) => {
  let percent = 30
  const app = await build(t, { rolloutPercent: () => percent })
  app.post('/', async () => 'ok')
  const covered = async (key: string): Promise<string[]> => {
    const answers = await Promise.all(users.map((user) => post(app, '/', { headers: { 'x-user': user, 'idempotency-key': key } })))
    return users.filter((_, index) => answers[index]?.headers['idempotency-status'] === 'created')
  }
  const first = await covered('a')
  t.same(first, users.filter((user) => isRolledOut(user, 30)))
  t.ok(first.length > 0 && first.length < users.length)
  t.same(await covered('b'), first)
  percent = 60.5
  const more = await covered('c')
  t.same(more, users.filter((user) => isRolledOut(user, 60.5)))
  t.ok(more.length > first.length && first.every((user) => more.includes(user)))
})

await t.test('a function\'s scope decides in place of the principal', async (t) => {
  const app = await build(t, { rolloutPercent: 50, scope: ({ headers }) => String(headers['x-tenant']) })
  app.post('/', async () => 'ok')
  for (const tenant of users) {
    const { headers } = await post(app, '/', { headers: { 'x-tenant': tenant } })
    t.equal(headers['idempotency-status'], isRolledOut(tenant, 50) ? 'created' : 'bypassed')
  }
})

await t.test('the key decides where the scope is public, with quotes or without', async (t) => {
  const app = await build(t, { rolloutPercent: 50, scope: 'public' })
  app.post('/', async () => 'ok')
  for (const key of users) {
    const bare = await post(app, '/', { headers: { 'idempotency-key': key } })
    t.equal(bare.headers['idempotency-status'], isRolledOut(key, 50) ? 'created' : 'bypassed')
    const quoted = await post(app, '/', { headers: { 'idempotency-key': `"${key}"` } })
    t.equal(quoted.headers['idempotency-status'], isRolledOut(key, 50) ? 'replayed' : 'bypassed')
  }
})

await t.test('at 100 % nothing is let pass: a stranger is 401, a missing key 400', async (t) => {
  const app = await build(t, { enabled: () => true, rolloutPercent: () => 100 })
  app.post('/', { config: { idempotency: { required: true } } }, async () => 'ok')
  t.equal((await app.inject({ method: 'POST', url: '/', headers: { 'idempotency-key': 'k' } })).statusCode, 401)
  t.equal((await app.inject({ method: 'POST', url: '/', headers: { 'x-user': '1' } })).statusCode, 400)
})

await t.test('a function that returns something else fails the request: nobody is let pass by mistake', async (t) => {
  const wrong = { enabled: ['true', undefined, null, 1, Promise.resolve(true)], rolloutPercent: ['50', undefined, NaN, -1, 100.1] }
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      const app = await build(t, { [name]: () => value })
      let runs = 0
      app.post('/', async () => ({ run: ++runs }))
      const answer = await post(app, '/')
      t.match(answer.json(), { statusCode: 500, code: 'FST_IDEMPOTENCY_OPTION_INVALID', message: new RegExp(`option \`${name}\` must return `) }, `${name}: ${String(value)}`)
      t.equal(runs, 0)
    }
  }
})
