import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import pg from 'pg'
import t from 'tap'
import { until } from '../helper.js'
import { ownPostgres } from '../own-servers.js'
import { build, logInAt, postShare, spawnServer, testEnvironment } from './helper.js'

const listShares = (base: string, authorization: string): Promise<Response> => fetch(`${base}/api/v1/shares`, { headers: { authorization } })

async function breakerOf (base: string): Promise<string> {
  const { breakers } = await (await fetch(`${base}/health/ready`)).json() as { breakers: { database: string } }
  return breakers.database
}

async function metricOf (base: string, name: string): Promise<number> {
  const line = new RegExp(`^${name}\\{name="(?:database|api)"\\} (\\d+)$`, 'm').exec(await (await fetch(`${base}/metrics`)).text())
  return Number(line?.[1])
}

await t.test('the named instances are there', async (t) => {
  const { concurrency } = await build(t)
  for (const name of ['database', 'websocket', 'scheduler']) t.equal(await concurrency.lock(name).run('key', () => name), name)
  t.equal(await concurrency.semaphore('database').run(() => 'slot'), 'slot')
  t.equal((await concurrency.limiter('api').consume('somebody')).remaining, 5_999)
  t.strictSame(concurrency.breakers(), { database: 'closed' })
})

await t.test('attempts to log in count by the address that a proxy names, where that is trusted', async (t) => {
  for (const [changes, expected] of [[{}, [401, 429]], [{ TRUST_PROXY: '127.0.0.1, 10.0.0.0/8' }, [401, 401]]] as Array<[Record<string, string>, number[]]>) {
    const app = await build(t, { LOGIN_RATE_LIMIT: '1', ...changes })
    const statuses: number[] = []
    for (const address of ['192.0.2.1', '192.0.2.2']) {
      const { statusCode } = await app.inject({ method: 'POST', url: '/api/auth/login', headers: { 'x-forwarded-for': address }, payload: { email: 'nobody@example.com', password: 'TestPassword123!' } })
      statuses.push(statusCode)
    }
    t.strictSame(statuses, expected)
  }
})

await t.test('all that Prisma asks of the pool waits at the semaphore, and what is in a transaction has its slot', async (t) => {
  const app = await build(t, { DATABASE_POOL_SIZE: '2' })
  const { prisma, pg: pool, concurrency } = app
  const work: Array<() => Promise<unknown>> = [
    () => prisma.$queryRaw`SELECT pg_sleep(0.05)::text`,
    () => prisma.$executeRaw`SELECT pg_sleep(0.05)`,
    () => prisma.share.findMany(),
    () => prisma.$transaction([prisma.share.count(), prisma.user.count()]),
    () => prisma.$transaction(async (tx) => { await tx.share.count(); await tx.$queryRaw`SELECT pg_sleep(0.05)::text`; await tx.user.count() })
  ]
  const running = Promise.all([...work, ...work, ...work, ...work].map((run) => run()))
  let most = 0
  await until('the rest waits', () => {
    most = Math.max(most, pool.waitingCount)
    return concurrency.semaphore('database').waiting() >= 16
  })
  await running
  t.ok(most <= 2, `${most} waited for a connection: what does not go through Prisma, and looks after the flag and the records`)
  t.equal(concurrency.semaphore('database').waiting(), 0)
})

await t.test('what Postgres refuses does not open the breaker, and gives its slot back', async (t) => {
  const { prisma, concurrency } = await build(t, { DATABASE_POOL_SIZE: '1' })
  const sixTimes = async (refused: () => Promise<unknown>): Promise<void> => { for (let count = 0; count < 6; count++) await t.rejects(refused()) } // one success would start the count anew
  await sixTimes(() => prisma.$queryRaw`SELECT 1 / 0`)
  await sixTimes(() => prisma.$transaction(async (tx) => { await tx.$queryRaw`SELECT no_such_column` }))
  await sixTimes(() => prisma.$transaction(async () => { throw new Error('the work failed') }))
  t.strictSame(concurrency.breakers(), { database: 'closed' })
  t.equal(await prisma.share.count(), 0)
})

await t.test('a database that is gone opens the breaker: requests are refused at once, health tells, and it closes by itself', async (t) => {
  const postgres = await ownPostgres(t)
  const { base } = await spawnServer(t, { ...await testEnvironment(t), DATABASE_URL: postgres.url })
  const authorization = await logInAt(base)
  t.equal(await breakerOf(base), 'closed')
  await postgres.kill()
  for (let sent = 0; sent < 5; sent++) t.equal((await listShares(base, authorization)).status, 503)
  t.equal(await breakerOf(base), 'open')
  t.equal(await metricOf(base, 'circuit_breaker_state'), 2)
  for (const refused of [await listShares(base, authorization), await postShare(base, authorization, randomUUID())]) {
    t.equal(refused.status, 503)
    t.match(refused.headers.get('retry-after'), /^[1-9]\d*$/)
    t.match(await refused.json(), { code: 'FST_API_DATABASE_UNAVAILABLE' })
  }
  await postgres.start()
  await until('a trial has closed it', async () => (await listShares(base, authorization)).status === 200)
  t.equal(await breakerOf(base), 'closed')
})

await t.test('a user has so many requests in all instances together, and is told when to come again', async (t) => {
  const env: Record<string, string> = { ...await testEnvironment(t), API_RATE_LIMIT: '5' }
  const servers = await Promise.all([spawnServer(t, env), spawnServer(t, env)])
  const authorization = await logInAt(servers[0].base)
  const answers = await Promise.all(Array.from({ length: 12 }, (_, index) => listShares(servers[index % 2]?.base ?? '', authorization)))
  t.equal(answers.filter(({ status }) => status === 200).length, 5)
  const refused = answers.filter(({ status }) => status === 429)
  t.equal(refused.length, 7)
  for (const { headers } of refused) {
    t.match(headers.get('retry-after'), /^[1-9]\d*$/)
    t.match(headers.get('ratelimit-policy'), '"api";q=5;w=60')
    t.match(headers.get('ratelimit'), /^"api";r=0;t=\d+$/)
  }
  const counts = await Promise.all(servers.map(({ base }) => metricOf(base, 'rate_limiter_rejections_total')))
  t.equal(counts.reduce((sum, count) => sum + count, 0), 7)
})

await t.test('requests that wait at the semaphore when the server stops are answered', async (t) => {
  const env: Record<string, string> = { ...await testEnvironment(t), DATABASE_POOL_SIZE: '1' }
  const { base, child } = await spawnServer(t, env)
  const client = new pg.Client({ connectionString: env.DATABASE_URL })
  await client.connect()
  t.teardown(() => client.end())
  const authorization = await logInAt(base)
  await client.query('BEGIN; LOCK TABLE shares IN EXCLUSIVE MODE')
  const answers = Promise.all(['a', 'b', 'c'].map((name) => postShare(base, authorization, randomUUID(), { url: `https://www.reddit.com/r/programming/comments/${name}/` })))
  await until('two wait', async () => await metricOf(base, 'concurrency_queue_length') === 2)
  child.kill('SIGTERM')
  await until('the server has begun to close', async () => await fetch(`${base}/health/live`).then(() => false, () => true))
  await client.query('COMMIT')
  t.strictSame((await answers).map(({ status }) => status), [201, 201, 201])
  t.strictSame(await once(child, 'exit'), [0, null])
})
