import t from 'tap'
import { build, credentials, logIn, logInAt, postShare, share, spawnServer, testEnvironment } from './helper.js'

await t.test('the login answers a bearer token that lives as long as it says', async (t) => {
  const app = await build(t)
  const response = await app.inject({ method: 'POST', url: '/api/auth/login', payload: credentials })
  t.equal(response.statusCode, 200)
  t.match(response.json(), { token: /^[\w-]+\.[\w-]+\.[\w-]+$/, tokenType: 'Bearer', expiresIn: 3600 })
  const { exp = 0, iat = 0 } = app.jwt.decode<{ exp: number, iat: number }>(response.json<{ token: string }>().token) ?? {}
  t.equal(exp - iat, 3600)
})

await t.test('a share sent twice is answered twice with the same bytes and stored once', async (t) => {
  const app = await build(t)
  const headers = { authorization: await logIn(app), 'idempotency-key': '550e8400-e29b-41d4-a716-446655440001' }
  const send = () => app.inject({ method: 'POST', url: '/api/v1/shares', headers, payload: share })
  const first = await send()
  const second = await send()
  t.equal(first.statusCode, 201)
  t.match(first.json(), { id: /^[\da-f-]{36}$/, url: share.url, canonicalUrl: share.url, platform: 'reddit', createdAt: /Z$/ })
  t.equal(first.headers.location, `/api/v1/shares/${first.json<{ id: string }>().id}`)
  t.equal(first.headers['idempotent-replayed'], undefined)
  t.equal(second.statusCode, 201)
  t.equal(second.headers['idempotent-replayed'], 'true')
  t.equal(second.headers.location, first.headers.location)
  t.ok(second.rawPayload.equals(first.rawPayload))
  t.equal(await app.prisma.share.count(), 1)
})

await t.test('without a key every share of another page is stored', async (t) => {
  const app = await build(t)
  const headers = { authorization: await logIn(app) }
  for (const url of [share.url, `${share.url}2`]) t.equal((await app.inject({ method: 'POST', url: '/api/v1/shares', headers, payload: { url } })).statusCode, 201)
  t.equal(await app.prisma.share.count(), 2)
})

await t.test('of 60 duplicates sent at once to two processes one is executed', async (t) => {
  const env = await testEnvironment(t)
  const [one, two] = await Promise.all([spawnServer(t, env), spawnServer(t, env)])
  const authorization = await logInAt(one.base)
  const answers = await Promise.all(Array.from({ length: 60 }, (_, number) => postShare(number % 2 === 0 ? one.base : two.base, authorization, 'double-tap')))
  const executed = answers.filter(({ headers }) => headers.get('idempotency-status') === 'created')
  t.equal(executed.length, 1)
  t.ok(answers.every(({ status, headers }) => status === 201 || (status === 409 && Number(headers.get('retry-after')) >= 1)))
  const list = await fetch(`${two.base}/api/v1/shares`, { headers: { authorization } })
  t.equal((await list.json() as { items: unknown[] }).items.length, 1)
  const later = await postShare(two.base, authorization, 'double-tap')
  t.equal(later.headers.get('idempotent-replayed'), 'true')
  t.equal(await later.text(), await executed[0]?.text())
})
