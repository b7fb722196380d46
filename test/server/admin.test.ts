import { createHash } from 'node:crypto'
import { Writable } from 'node:stream'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { buildServer } from '../../server.js'
import { build, jwtSecret, logIn, share, testEnvironment } from './helper.js'
import { loadConfig } from '../../services/config/index.js'

const url = '/api/v1/admin/idempotency'
const token = 'a token that-is-only-used-in-tests'.replaceAll(' ', '-')
const authorization = `Bearer ${token}`

const get = (app: FastifyInstance): Promise<LightMyRequestResponse> => app.inject({ url, headers: { authorization } })
const put = (app: FastifyInstance, payload: object | string, headers = {}): Promise<LightMyRequestResponse> =>
  app.inject({ method: 'PUT', url, payload, headers: { authorization, 'content-type': 'application/json', ...headers } })

await t.test('without ADMIN_TOKEN there is no admin API', async (t) => {
  for (const changes of [undefined, { ADMIN_TOKEN: '' }]) {
    const app = await build(t, changes)
    for (const answer of [await get(app), await put(app, { enabled: false })]) t.match([answer.statusCode, answer.json()], [404, { code: 'FST_API_ROUTE_NOT_FOUND' }])
    t.equal(app.idempotencyFlag.current().enabled, true)
  }
})

await t.test('without the token, or with another one, 401 and nothing is changed', async (t) => {
  const app = await build(t, { ADMIN_TOKEN: token })
  const wrong = [undefined, '', 'Bearer', 'Bearer ', token, `Basic ${token}`, `Bearer ${token}x`, `Bearer ${token.slice(1)}`, `Bearer ${token.toUpperCase()}`, `Bearer ${token} ${token}`, await logIn(app)]
  for (const authorization of wrong) {
    for (const method of ['GET', 'PUT'] as const) {
      const answer = await app.inject({ method, url, payload: method === 'PUT' ? { enabled: false } : undefined, headers: authorization === undefined ? {} : { authorization } })
      t.equal(answer.statusCode, 401)
      t.equal(answer.headers['www-authenticate'], 'Bearer')
      t.match(answer.headers['content-type'], /^application\/problem\+json/)
      t.match(answer.json(), { code: 'FST_API_ADMIN_TOKEN_INVALID', status: 401, type: '/problems/api-admin-token-invalid' })
    }
  }
  t.equal((await app.idempotencyFlag.refresh()).revision, 0)
})

await t.test('the environment\'s values hold until the first change', async (t) => {
  const app = await build(t, { ADMIN_TOKEN: token, ENABLE_IDEMPOTENCY_IOS_MVP: 'false', IDEMPOTENCY_ROLLOUT_PERCENT: '25' })
  const answer = await get(app)
  t.same([answer.statusCode, answer.json()], [200, { enabled: false, rolloutPercent: 25, revision: 0, updatedAt: null }])
  t.equal(answer.headers['cache-control'], 'no-store')
  t.match((await put(app, { enabled: true })).json(), { enabled: true, rolloutPercent: 25, revision: 1, updatedAt: /^\d{4}-.*Z$/ })
})

await t.test('a PUT needs no key, changes what it names, and changes nothing when it is sent again', async (t) => {
  const app = await build(t, { ADMIN_TOKEN: token })
  const first = await put(app, { rolloutPercent: 50, revision: 0 })
  t.match([first.statusCode, first.json()], [200, { enabled: true, rolloutPercent: 50, revision: 1 }])
  t.notOk('idempotency-status' in first.headers)
  t.same((await put(app, { rolloutPercent: 50, revision: 0 })).json(), first.json())
  t.same((await put(app, { rolloutPercent: 50 }, { 'idempotency-key': 'k' })).json(), first.json())
  t.same((await get(app)).json(), first.json())
})

await t.test('bad input is 400 and changes nothing', async (t) => {
  const app = await build(t, { ADMIN_TOKEN: token })
  const bad = [
    { rolloutPercent: 101 }, { rolloutPercent: -1 }, { rolloutPercent: 1.5 }, { rolloutPercent: '50' }, { rolloutPercent: null }, '{"rolloutPercent":1e400}',
    { enabled: 'false' }, { enabled: 0 }, { enabled: null },
    { enabled: false, revision: -1 }, { enabled: false, revision: '0' }, { enabled: false, revision: 0.5 },
    { enabled: false, percent: 5 }, { enabled: false, updatedAt: null }, {}, { revision: 0 }, [], [{ enabled: false }], 'null', '', '{'
  ]
  for (const payload of bad) {
    const answer = await put(app, payload)
    t.equal(answer.statusCode, 400, JSON.stringify(payload))
    t.match(answer.headers['content-type'], /^application\/problem\+json/)
  }
  t.equal((await app.inject({ method: 'PUT', url: `${url}?enabled=false`, payload: { enabled: false }, headers: { authorization } })).statusCode, 400)
  t.equal((await app.idempotencyFlag.refresh()).revision, 0)
})

await t.test('a PUT with an old revision is 409 and changes nothing', async (t) => {
  const app = await build(t, { ADMIN_TOKEN: token })
  await put(app, { rolloutPercent: 50 })
  for (const payload of [{ enabled: false, revision: 0 }, { enabled: false, revision: 2 }, { enabled: true, revision: 99 }, { enabled: false, revision: 2 ** 40 }]) {
    const answer = await put(app, payload)
    t.match([answer.statusCode, answer.json()], [409, { code: 'FST_API_FLAG_CHANGED' }])
  }
  t.match((await get(app)).json(), { enabled: true, rolloutPercent: 50, revision: 1 })
})

await t.test('switched off, a share sent twice is stored twice and told so', async (t) => {
  const app = await build(t, { ADMIN_TOKEN: token })
  const headers = { authorization: await logIn(app), 'idempotency-key': 'k' }
  await put(app, { enabled: false })
  for (let sent = 0; sent < 2; sent++) {
    const answer = await app.inject({ method: 'POST', url: '/api/v1/shares', headers, payload: share })
    t.same([answer.statusCode, answer.headers['idempotency-status']], [201, 'bypassed'])
  }
  t.equal(await app.prisma.share.count(), 2)
})

await t.test('the log says who changed what, and nothing says the token', async (t) => {
  let text = ''
  const stream = new Writable({ write (chunk, _encoding, done) { text += String(chunk); done() } })
  const { databaseUrl = '', redisUrl = '', ...config } = loadConfig({ ...await testEnvironment(t), ADMIN_TOKEN: token })
  const app = await buildServer({ ...config, databaseUrl, redisUrl, jwtSecret }, { logger: { level: 'info', stream } })
  t.teardown(() => app.close())
  await put(app, { enabled: false, rolloutPercent: 5 })
  const by = createHash('sha256').update(token).digest('hex').slice(0, 8)
  const lines = text.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>)
  t.match(lines.filter((line) => 'by' in line), [{ flag: 'idempotency', by, from: { enabled: true, percent: 100, revision: 0 }, to: { enabled: false, percent: 5, revision: 1 } }])
  t.same((await app.pg.query('SELECT updated_by AS by FROM feature_flags')).rows, [{ by }])
  t.notMatch(text, token)
})

await t.test('the OpenAPI document has the admin API where it is there', async (t) => {
  const app = await build(t, { ADMIN_TOKEN: token })
  const { paths } = (await app.inject({ url: '/documentation/json' })).json<{ paths: Record<string, Record<string, { security: object[], responses: object }>> }>()
  t.match(paths[url], { get: { security: [{ admin: [] }] }, put: { security: [{ admin: [] }] } })
  t.strictSame(Object.keys(paths[url]?.put?.responses ?? {}), ['200', '400', '401', '409', '503'])
})
