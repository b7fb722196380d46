import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { createUsers } from '../../services/auth/users.js'
import { until } from '../helper.js'
import { build, logIn, testEnvironment } from './helper.js'

interface Page { items: Array<{ id: string, url: string }>, nextCursor: string | null }

await t.test('shares are listed newest first in pages that follow each other without gap or repetition', async (t) => {
  const app = await build(t)
  const headers = { authorization: await logIn(app) }
  const urls = Array.from({ length: 7 }, (_, number) => `https://example.com/${number}`)
  for (const url of urls) await app.inject({ method: 'POST', url: '/api/v1/shares', headers, payload: { url } })
  const seen: string[] = []
  const sizes: number[] = []
  let cursor: string | null = null
  do {
    const page: Page = (await app.inject({ url: `/api/v1/shares?limit=3${cursor === null ? '' : `&cursor=${cursor}`}`, headers })).json<Page>()
    seen.push(...page.items.map(({ url }) => url))
    sizes.push(page.items.length)
    cursor = page.nextCursor
  } while (cursor !== null)
  t.strictSame(seen, urls.toReversed())
  t.strictSame(sizes, [3, 3, 1])
})

await t.test('a page that ends with the last share has no next cursor', async (t) => {
  const app = await build(t)
  const headers = { authorization: await logIn(app) }
  t.strictSame((await app.inject({ url: '/api/v1/shares', headers })).json(), { items: [], nextCursor: null })
  for (const number of [1, 2]) await app.inject({ method: 'POST', url: '/api/v1/shares', headers, payload: { url: `https://example.com/${number}` } })
  t.match((await app.inject({ url: '/api/v1/shares?limit=2', headers })).json(), { items: { length: 2 }, nextCursor: null })
})

await t.test('another user sees neither the share nor the list, and the same key is another one for him', async (t) => {
  const app = await build(t)
  const other = { email: 'other@example.com', password: 'AnotherPassword1!' }
  await createUsers({ prisma: app.prisma }).ensure(other.email, other.password)
  const mine = { authorization: await logIn(app), 'idempotency-key': 'same' }
  const theirs = { authorization: await logIn(app, other), 'idempotency-key': 'same' }
  const payload = { url: 'https://example.com/mine?utm_source=x' }
  const created = (await app.inject({ method: 'POST', url: '/api/v1/shares', headers: mine, payload })).json<{ id: string, canonicalUrl: string }>()
  t.equal(created.canonicalUrl, 'https://example.com/mine')
  t.equal((await app.inject({ url: `/api/v1/shares/${created.id}`, headers: mine })).statusCode, 200)
  t.equal((await app.inject({ url: `/api/v1/shares/${created.id}`, headers: theirs })).statusCode, 404)
  t.strictSame((await app.inject({ url: '/api/v1/shares', headers: theirs })).json<Page>().items, [])
  const response = await app.inject({ method: 'POST', url: '/api/v1/shares', headers: theirs, payload })
  t.equal(response.headers['idempotency-status'], 'created')
  t.not(response.json<{ id: string }>().id, created.id)
})

const payload = { url: 'https://example.com/again' }
const count = async (app: FastifyInstance): Promise<number> => await app.prisma.share.count()

await t.test('a share with a key is stored once, on whichever instance and whatever Redis forgets', async (t) => {
  const env = await testEnvironment(t)
  const [one, other] = [await build(t, env), await build(t, env)]
  const headers = { authorization: await logIn(one), 'idempotency-key': 'k' }
  const first = await one.inject({ method: 'POST', url: '/api/v1/shares', headers, payload })
  t.match([first.statusCode, first.headers['idempotency-status']], [201, 'created'])
  for (const flushed of [false, true]) {
    if (flushed) await one.redis.del(await one.redis.keys(`${env.HOLDFAST_PREFIX}*`))
    const replay = await other.inject({ method: 'POST', url: '/api/v1/shares', headers, payload })
    t.same([replay.statusCode, replay.headers['idempotent-replayed'], replay.headers.location, replay.payload], [201, 'true', first.headers.location, first.payload])
  }
  t.equal(await count(one), 1)
})

await t.test('a double fire without a key is one share and one answer, on one instance and on two', async (t) => {
  const env = await testEnvironment(t)
  const [one, other] = [await build(t, env), await build(t, env)]
  const headers = { authorization: await logIn(one) }
  const answers = await Promise.all([one, one, other, other].map((app) => app.inject({ method: 'POST', url: '/api/v1/shares', headers, payload })))
  t.same(answers.map(({ statusCode }) => statusCode), [201, 201, 201, 201])
  t.equal(new Set(answers.map(({ payload }) => payload)).size, 1)
  t.equal(await count(one), 1)
})

await t.test('the same share by two users, or after the window, is stored twice', async (t) => {
  const app = await build(t)
  const other = { email: 'other@example.com', password: 'AnotherPassword1!' }
  await createUsers({ prisma: app.prisma }).ensure(other.email, other.password)
  const post = async (authorization: string) => await app.inject({ method: 'POST', url: '/api/v1/shares', headers: { authorization }, payload })
  const [mine, theirs] = [await logIn(app), await logIn(app, other)]
  for (const { headers } of await Promise.all([post(mine), post(theirs)])) t.equal(headers['idempotency-status'], 'created')
  t.equal(await count(app), 2)
  await until('the window is over', async () => (await post(mine)).headers['idempotency-status'] === 'created')
  t.equal(await count(app), 3)
})

await t.test('a share for a user who is gone is 401, and gives the key back', async (t) => {
  const app = await build(t)
  const headers = { authorization: await logIn(app), 'idempotency-key': 'k' }
  await app.prisma.user.deleteMany()
  for (let tries = 0; tries < 2; tries++) {
    const answer = await app.inject({ method: 'POST', url: '/api/v1/shares', headers, payload })
    t.match([answer.statusCode, answer.json<{ code: string }>().code, answer.headers['idempotent-replayed']], [401, 'FST_API_USER_UNKNOWN', undefined])
  }
  t.strictSame((await app.pg.query('SELECT FROM idempotency_records')).rows, [])
})
