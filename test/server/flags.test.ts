import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { Test } from 'tap'
import { isRolledOut } from '../../services/idempotency/rollout.js'
import { until } from '../helper.js'
import { ownPostgres, ownRedis } from '../own-servers.js'
import { build, logInAt, postShare, spawnServer, testEnvironment } from './helper.js'

const token = 'a-token-that-is-only-used-in-tests'
const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }

const put = (base: string, body: object): Promise<Response> => fetch(`${base}/api/v1/admin/idempotency`, { method: 'PUT', headers, body: JSON.stringify(body) })
const get = async (base: string): Promise<unknown> => await (await fetch(`${base}/api/v1/admin/idempotency`, { headers })).json()
const statusOf = async (base: string, authorization: string, key: string = randomUUID()): Promise<string | null> => (await postShare(base, authorization, key)).headers.get('idempotency-status')

/** Two processes over one database. */
async function two (t: Test, changes: Record<string, string> = {}) {
  const env = { ...await testEnvironment(t), ADMIN_TOKEN: token, ...changes }
  const [one, other] = await Promise.all([spawnServer(t, env), spawnServer(t, env)])
  return { one, other, env, authorization: await logInAt(one.base) }
}

/** Sends the change to one and returns the ms until the other obeyed; fails after 1 s. */
async function obeyed (from: string, to: string, authorization: string, enabled: boolean): Promise<number> {
  const start = performance.now()
  const { status } = await put(from, { enabled })
  if (status !== 200) throw new Error(`the change was answered ${status}`)
  await until(`enabled: ${enabled} is obeyed`, async () => await statusOf(to, authorization) === (enabled ? 'created' : 'bypassed'), 1_000)
  return performance.now() - start
}

await t.test('what is changed on one instance the other obeys within 1 s, with Redis and without', async (t) => {
  const redis = await ownRedis(t)
  const { one, other, authorization } = await two(t, { REDIS_URL: redis.url })
  const measure = async (): Promise<number> => {
    const times: number[] = []
    for (const enabled of [false, true, false, true]) {
      times.push(await obeyed(one.base, other.base, authorization, enabled), await obeyed(other.base, one.base, authorization, !enabled))
      await obeyed(one.base, other.base, authorization, enabled)
    }
    return Math.max(...times)
  }
  t.ok(await measure() < 1_000)
  await redis.kill()
  const longest = await measure()
  t.ok(longest < 1_000)
  t.comment(`without Redis the slowest change took ${Math.round(longest)} ms`)
})

await t.test('a percentage covers the same users on every instance, and a higher one more', async (t) => {
  const { one, other, env } = await two(t, { IDEMPOTENCY_ROLLOUT_PERCENT: '20' })
  const app = await build(t, env)
  const ids = Array.from({ length: 30 }, () => randomUUID())
  await app.prisma.user.createMany({ data: ids.map((id) => ({ id, email: `${id}@example.com`, passwordHash: '' })) })
  const tokenOf = (sub: string): string => `Bearer ${app.jwt.sign({ sub })}`
  const covered = async (base: string): Promise<string[]> => {
    const statuses = await Promise.all(ids.map((sub) => statusOf(base, tokenOf(sub))))
    return ids.filter((_, index) => statuses[index] === 'created')
  }
  t.strictSame(await covered(one.base), ids.filter((id) => isRolledOut(id, 20)))
  t.equal((await put(one.base, { rolloutPercent: 60 })).status, 200)
  const added = ids.find((id) => isRolledOut(id, 60) && !isRolledOut(id, 20)) ?? ''
  await until('the other one obeys', async () => await statusOf(other.base, tokenOf(added)) === 'created', 1_000)
  for (const { base } of [one, other]) t.strictSame(await covered(base), ids.filter((id) => isRolledOut(id, 60)))
})

await t.test('an instance that starts later obeys what was set, not its environment', async (t) => {
  const env = { ...await testEnvironment(t), ADMIN_TOKEN: token }
  const first = await spawnServer(t, { ...env, IDEMPOTENCY_ENABLED: 'false' })
  const authorization = await logInAt(first.base)
  t.equal(await statusOf(first.base, authorization), 'bypassed')
  t.equal((await put(first.base, { enabled: true })).status, 200)
  const second = await spawnServer(t, { ...env, ENABLE_IDEMPOTENCY_IOS_MVP: 'false' })
  t.equal(await statusOf(second.base, authorization), 'created')
})

await t.test('while Postgres is gone the last value holds, a change is 503, and after it changes arrive within 1 s', async (t) => {
  const postgres = await ownPostgres(t)
  const { one, other, authorization } = await two(t, { DATABASE_URL: postgres.url, LOG_LEVEL: 'warn' })
  await obeyed(one.base, other.base, authorization, false)
  await postgres.kill()
  const failures = (): number => other.output().split('its last value holds').length - 1
  await until('a reading fails', () => failures() > 0)
  t.match(await get(other.base), { enabled: false, revision: 1 })
  t.match(await get(one.base), { enabled: false, revision: 1 })
  t.equal(await statusOf(other.base, authorization), 'bypassed')
  const refused = await put(one.base, { enabled: true })
  t.equal(refused.status, 503)
  t.match(await refused.json(), { code: 'FST_API_DATABASE_UNAVAILABLE' })
  t.equal(failures(), 1)
  await postgres.start()
  await until('a change can be made', async () => (await put(one.base, { enabled: false })).status === 200)
  t.ok(await obeyed(one.base, other.base, authorization, true) < 1_000)
})
