import pg from 'pg'
import { Registry } from 'prom-client'
import t from 'tap'
import { faultProxy } from '../../chaos/fault-proxy.js'
import { testPool, testPrefix, testRedis } from '../../helper.js'
import { shown } from '../idempotency/measured.js'
import { cluster } from './helper.js'

const late = "INSERT INTO schedules (name, owner, every_ms, hash, next_at, paused_at, not_before) VALUES ($1, $2, 60000, 'h', now() - $3 * interval '1 s', $4, now() + $5 * interval '1 s')"

await t.test('schedules with a tick that nobody claims are shown by their jobs, and not those of a pause or a delay', async (t) => {
  const [registry, { postgres, app: create }] = [new Registry(), await cluster(t)]
  await (await create({ roles: ['web'], metrics: registry })).ready()
  t.same(await shown(registry, 'scheduler_overdue'), {})
  const schedules: unknown[][] = [['digest', 'ann', 11, null, null], ['digest', 'bob', 3_600, null, -11], ['report', '', 11, null, null], ['on time', '', 5, null, null], ['paused', '', 11, new Date(), null], ['delayed', '', 11, null, 30]]
  for (const schedule of schedules) await postgres.query(late, schedule)
  t.same(await shown(registry, 'scheduler_overdue'), { '{schedule="digest"}': 2, '{schedule="report"}': 1 })
  await postgres.query("UPDATE schedules SET next_at = now() WHERE name = 'report'")
  t.same(await shown(registry, 'scheduler_overdue'), { '{schedule="digest"}': 2 })
})

await t.test('runs that are due and not begun are shown', async (t) => {
  const [registry, { postgres, app: create }] = [new Registry(), await cluster(t)]
  await (await create({ roles: ['web'], metrics: registry })).ready()
  t.match(await registry.metrics(), /^scheduler_queue_depth 0$/m)
  await postgres.query(`INSERT INTO scheduler_runs (name, kind, tick, state, due_at)
    SELECT 'job', 'manual', now(), state, now() + due * interval '1 s' FROM (VALUES ('pending', -1), ('pending', 60), ('enqueued', -1), ('enqueued', -1), ('running', -1), ('done', -1), ('waiting', -1)) AS run (state, due)`)
  t.same(await shown(registry, 'scheduler_queue_depth'), { '': 3 })
})

await t.test('Postgres away takes away the gauges, soon, and nothing else', async (t) => {
  const [registry, { postgres, app: create }] = [new Registry(), await cluster(t)]
  const proxy = await faultProxy(t, postgres.options.connectionString ?? '')
  const through = new pg.Pool({ connectionString: proxy.url, max: 10 })
  through.on('error', () => {}).on('connect', (client) => { client.on('error', () => {}) }) // reset below
  t.teardown(() => through.end())
  const app = await create({ roles: ['web'], metrics: registry, postgres: through })
  await app.ready()
  const metrics = async () => (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => line.split(/[{ ]/)[0])
  t.strictSame(await metrics(), ['scheduler_queue_depth'])
  proxy.refuse()
  proxy.resetAll()
  const text = await registry.metrics()
  t.notMatch(text, /^scheduler_queue_depth /m)
  t.match(text, '# TYPE scheduler_runs_total counter')
  proxy.heal()
  t.strictSame(await metrics(), ['scheduler_queue_depth'])
  proxy.blackHole()
  const start = performance.now()
  for (let scrape = 0; scrape < 2; scrape++) t.strictSame(await metrics(), [])
  const took = performance.now() - start
  t.ok(took < 5_000, `${took} ms`)
  t.ok(through.totalCount <= 3, `${through.totalCount} connections: one for each gauge, not for each scrape, and one of what declares`)
  proxy.heal()
  t.strictSame(await metrics(), ['scheduler_queue_depth'])
})

await t.test('applications of one registry are counted together, and shown by the cluster that is worst off, until they are closed', async (t) => {
  const [registry, redis] = [new Registry(), testRedis(t)]
  const { postgres, app: create } = await cluster(t)
  const options = { roles: ['web'] as const, metrics: registry }
  const [first, second] = [await create(options), await create(options)]
  const elsewhere = await create({ ...options, redis, postgres: await testPool(t), prefix: testPrefix() })
  for (const app of [first, second, elsewhere]) await app.ready()
  await postgres.query(late, ['digest', 'ann', 11, null, null])
  await postgres.query("INSERT INTO scheduler_runs (name, kind, tick, state, due_at) VALUES ('job', 'manual', now(), 'pending', now())")
  const both = { overdue: { '{schedule="digest"}': 1 }, depth: { '': 1 } }
  const gauges = async () => ({ overdue: await shown(registry, 'scheduler_overdue'), depth: await shown(registry, 'scheduler_queue_depth') })
  t.same(await gauges(), both)
  await first.close()
  t.same(await gauges(), both)
  await second.close()
  t.same(await gauges(), { overdue: {}, depth: {} })
  t.match(await registry.metrics(), /^scheduler_queue_depth 0$/m)
  await elsewhere.close()
  t.notMatch(await registry.metrics(), /^scheduler_queue_depth/m)
})
