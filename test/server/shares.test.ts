import t from 'tap'
import { createUsers } from '../../services/auth/users.js'
import { build, logIn } from './helper.js'

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
