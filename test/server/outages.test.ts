import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import t from 'tap'
import { until } from '../helper.js'
import { ownPostgres, ownRedis } from '../own-servers.js'
import type { OwnServer } from '../own-servers.js'
import { logInAt, postShare, spawnServer, testEnvironment } from './helper.js'

const ready = async (base: string): Promise<{ status: string, phases: Array<{ name: string, state: string }> }> =>
  await (await fetch(`${base}/health/ready`)).json() as Awaited<ReturnType<typeof ready>>

await t.test('while Redis is gone requests go on through Postgres, and it is used again when it is back', async (t) => {
  const redis = await ownRedis(t)
  const env: Record<string, string> = { ...await testEnvironment(t), REDIS_URL: redis.url }
  const { base, child } = await spawnServer(t, env)
  const authorization = await logInAt(base)
  const before = randomUUID()
  t.equal((await postShare(base, authorization, before)).status, 201)

  const statuses: number[] = []
  const wanted = { answers: Number.POSITIVE_INFINITY }
  const load = (async () => {
    while (statuses.length < wanted.answers) statuses.push((await postShare(base, authorization, randomUUID())).status)
  })()
  await until('requests are being served', () => statuses.length > 20)
  await redis.kill()
  wanted.answers = statuses.length + 200
  await load
  t.strictSame([...new Set(statuses)], [201])

  const during = randomUUID()
  const first = await postShare(base, authorization, during)
  const second = await postShare(base, authorization, during)
  t.equal(first.headers.get('idempotency-status'), 'created')
  t.equal(second.headers.get('idempotent-replayed'), 'true')
  t.equal(await second.text(), await first.text())
  t.match(await ready(base), { status: 'degraded' })

  await redis.start()
  const client = new Redis(redis.url)
  t.teardown(() => client.quit())
  await until('a key is claimed in Redis again', async () => {
    t.equal((await postShare(base, authorization, randomUUID())).status, 201)
    return (await client.keys(`${env.HOLDFAST_PREFIX}:*`)).some((key) => !/:(rate|limiter):/.test(key))
  })
  await until('it is ready', async () => (await ready(base)).status === 'ready')
  t.equal((await postShare(base, authorization, during)).headers.get('idempotent-replayed'), 'true', 'what Postgres stored is replayed after the outage')
  t.equal(child.exitCode, null)
})

await t.test('a Redis that hangs delays requests for a moment and fails none', async (t) => {
  const redis = await ownRedis(t)
  const { base } = await spawnServer(t, { ...await testEnvironment(t), REDIS_URL: redis.url })
  const authorization = await logInAt(base)
  redis.signal('SIGSTOP')
  t.teardown(() => redis.signal('SIGCONT'))
  const statuses: number[] = []
  for (let sent = 0; sent < 10; sent++) statuses.push((await postShare(base, authorization, randomUUID())).status)
  t.strictSame([...new Set(statuses)], [201])
})

await t.test('without Redis the server starts, and uses it once it is there', async (t) => {
  const redis = await ownRedis(t)
  await redis.kill()
  const { base, output } = await spawnServer(t, { ...await testEnvironment(t), REDIS_URL: redis.url, LOG_LEVEL: 'info' })
  t.match(await ready(base), { status: 'degraded', phases: [{ name: 'config', state: 'ready' }, { name: 'redis', state: 'degraded' }, { name: 'database', state: 'ready' }, { name: 'migrations', state: 'ready' }] })
  t.equal((await postShare(base, await logInAt(base), randomUUID())).status, 201)
  await redis.start()
  await until('Redis is found', async () => (await ready(base)).status === 'ready')
  await until('its phase is repeated until it is ready', () => output().includes('optional phase is ready at last'), 60_000)
})

await t.test('while Postgres is gone requests are answered 503 with Retry-After, and the process recovers by itself', async (t) => {
  const postgres = await ownPostgres(t)
  const { base, child } = await spawnServer(t, { ...await testEnvironment(t), DATABASE_URL: postgres.url })
  const authorization = await logInAt(base)
  const key = randomUUID()
  await postgres.kill()
  const response = await postShare(base, authorization, key)
  t.equal(response.status, 503)
  t.match(response.headers.get('retry-after'), /^[1-9]\d*$/)
  t.match(response.headers.get('content-type'), /^application\/problem\+json/)
  t.match(await response.json(), { status: 503, code: /_UNAVAILABLE$/ })
  const health = await fetch(`${base}/health/ready`)
  t.equal(health.status, 503)
  t.equal((await fetch(`${base}/health/live`)).status, 200)

  await postgres.start()
  const recovered = await until('the server recovers', async () => {
    const answer = await postShare(base, authorization, key)
    return answer.status === 503 ? null : answer
  })
  t.equal(recovered.status, 201, 'the failed attempt gave its key back')
  t.equal(child.exitCode, null)
})

await t.test('with neither of them a key that cannot be checked lets no error but 503 out', async (t) => {
  const [postgres, redis] = [await ownPostgres(t), await ownRedis(t)]
  const { base, child } = await spawnServer(t, { ...await testEnvironment(t), DATABASE_URL: postgres.url, REDIS_URL: redis.url })
  const authorization = await logInAt(base)
  await Promise.all([postgres.kill(), redis.kill()])
  for (let sent = 0; sent < 5; sent++) t.equal((await postShare(base, authorization, randomUUID())).status, 503)
  t.equal(child.exitCode, null)
})

for (const [how, take] of [['dead', (server: OwnServer) => server.kill()], ['frozen', (server: OwnServer) => { server.signal('SIGSTOP') }]] as const) {
  await t.test(`with Redis and Postgres ${how} SIGTERM ends the server in time and cleanly`, async (t) => {
    const [redis, postgres] = [await ownRedis(t), await ownPostgres(t)]
    const { base, child } = await spawnServer(t, { ...await testEnvironment(t), DATABASE_URL: postgres.url, REDIS_URL: redis.url })
    t.equal((await postShare(base, await logInAt(base), randomUUID())).status, 201)
    for (const server of [redis, postgres]) {
      await take(server)
      t.teardown(() => { server.signal('SIGCONT') })
    }
    const start = performance.now()
    child.kill('SIGTERM')
    t.strictSame(await once(child, 'exit'), [0, null])
    t.ok(performance.now() - start < 10_000, `${performance.now() - start} ms of the 25 s that a stop may take`)
  })
}
