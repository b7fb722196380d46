import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import t from 'tap'
import { idempotency } from '../../plugins/idempotency/index.js'
import { metrics } from '../../plugins/metrics/index.js'
import { testPool, testPrefix, testRedis, until } from '../helper.js'
import { ownRedis } from '../own-servers.js'
import { logInAt, postShare, spawnServer, testEnvironment } from './helper.js'

/** The value of one series at /metrics, or null where there is none. */
async function value (base: string, series: string): Promise<number | null> {
  const line = (await (await fetch(`${base}/metrics`)).text()).split('\n').find((line) => line.startsWith(`${series} `))
  return line === undefined ? null : Number(line.slice(series.length + 1))
}

await t.test('/metrics tells that Redis is gone and back', async (t) => {
  const redis = await ownRedis(t)
  const { base } = await spawnServer(t, { ...await testEnvironment(t), REDIS_URL: redis.url })
  const authorization = await logInAt(base)
  const share = async (): Promise<void> => { t.equal((await postShare(base, authorization, randomUUID())).status, 201) }
  await share()
  t.equal(await value(base, 'idempotency_requests_total{layer="key",outcome="executed"}'), 1)
  t.equal(await value(base, 'idempotency_store_state{store="redis"}'), 1)
  t.equal(await value(base, 'idempotency_store_state{store="postgres"}'), 1)
  t.equal(await value(base, 'idempotency_store_duration_seconds_count{store="redis",operation="claim"}'), 1)
  t.equal(await value(base, 'idempotency_store_duration_seconds_count{store="redis",operation="complete"}'), 1)
  t.equal(await value(base, 'idempotency_handler_duration_seconds_count'), 1)

  await redis.kill()
  await until('it is noticed', async () => await value(base, 'idempotency_store_state{store="redis"}') === 0)
  await share()
  t.equal(await value(base, 'idempotency_store_duration_seconds_count{store="postgres",operation="claim"}'), 1)
  await redis.start()
  await until('it is used again', async () => await value(base, 'idempotency_store_state{store="redis"}') === 1)
})

await t.test('metrics tell how late the records of mirrored routes are in Postgres', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(metrics)
  await app.register(idempotency, { store: { redis: testRedis(t), postgres: await testPool(t) }, scope: 'public', prefix: testPrefix() })
  app.post('/', async () => 'ok')
  await app.inject({ method: 'POST', url: '/', headers: { 'idempotency-key': 'k' } })
  const text = await until('the completion is mirrored', async () => {
    const text = await app.metrics.metrics()
    return text.includes('idempotency_mirror_lag_seconds_count 1') ? text : null
  })
  t.match(text, /idempotency_store_duration_seconds_count\{[^}]*operation="finish"[^}]*\} 1/)
})
