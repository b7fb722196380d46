import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import Fastify from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import idempotency from '../../../plugins/idempotency/index.js'
import { createMetrics } from '../../../plugins/idempotency/metrics.js'
import { packageRoot } from '../../../services/package-root.js'
import metrics from '../../../plugins/metrics/index.js'
import { build, post, principal, watchedStore } from './helper.js'
import { broken, measured, outcomesOf, shown } from './measured.js'

await t.test('a run is timed once, from its claim to its answer', async (t) => {
  const { app, registry } = await measured(t)
  app.post('/', async () => {
    const end = performance.now() + 30
    while (performance.now() < end);
    return 'ok'
  })
  await post(app, '/')
  await post(app, '/')
  t.same(await shown(registry, 'idempotency_handler_duration_seconds_count'), { '': 1 })
  const seconds = (await shown(registry, 'idempotency_handler_duration_seconds_sum'))[''] ?? 0
  t.ok(seconds >= 0.03 && seconds < 5, `${seconds} s`)
  const buckets = await shown(registry, 'idempotency_handler_duration_seconds_bucket')
  t.same([buckets['{le="0.025"}'], buckets['{le="60"}'], buckets['{le="+Inf"}']], [undefined, 1, 1])
})

await t.test('calls of the store are timed, those that fail too, and its state follows', async (t) => {
  let failing = true
  const { store } = watchedStore()
  const claim: typeof store.claim = async (claim) => failing ? await broken() : await store.claim(claim)
  const { app, registry } = await measured(t, { store: { ...store, claim } })
  app.post('/', async () => 'ok')
  t.same(await shown(registry, 'idempotency_store_state'), { '{store="custom"}': 1 })
  t.equal((await post(app, '/')).headers['idempotency-status'], 'bypassed', 'the rejection arrives')
  t.match(await registry.metrics(), 'idempotency_store_state{store="custom"} 0')
  failing = false
  await post(app, '/')
  t.same(await shown(registry, 'idempotency_store_duration_seconds_count'), { '{store="custom",operation="claim"}': 2, '{store="custom",operation="complete"}': 1 })
  t.same(await shown(registry, 'idempotency_store_state'), { '{store="custom"}': 1 })
})

await t.test('applications that share a registry add up, also after it was cleared', async (t) => {
  const registry = new Registry()
  const apps = [await build(t, { metrics: registry }), await build(t, { metrics: registry })]
  for (const app of apps) app.post('/', async () => 'ok')
  for (const app of apps) await post(app, '/')
  t.same(await outcomesOf(registry), { '{layer="key",outcome="executed"}': 2 })
  registry.clear()
  const another = await build(t, { metrics: registry })
  another.post('/', async () => 'ok')
  await post(another, '/')
  t.same(await outcomesOf(registry), { '{layer="key",outcome="executed"}': 1 })
})

await t.test('the state of a store is that of the instance that is worst off, and a closed one counts no more', async (t) => {
  const registry = new Registry()
  const [one, other] = [createMetrics(registry), createMetrics(registry)]
  one.observer.state('redis', 0)
  other.observer.state('redis', 1)
  t.match(await registry.metrics(), 'idempotency_store_state{store="redis"} 0')
  one.close()
  t.match(await registry.metrics(), 'idempotency_store_state{store="redis"} 1')
})

await t.test('the registry of holdfast/metrics is used, unless the option says no', async (t) => {
  for (const [options, named] of [[{}, true], [{ metrics: false }, false]] as const) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(metrics)
    await app.register(idempotency, { store: 'memory', principal, ...options })
    t.equal((await app.inject({ url: '/metrics' })).body.includes('idempotency_'), named)
  }
})

await t.test('what another plugin calls `metrics` is left alone', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.decorate('metrics', { client: {} } as never)
  await app.register(idempotency, { store: 'memory', principal })
  app.post('/', async () => 'ok')
  t.equal((await post(app, '/')).statusCode, 200)
})

await t.test('the metrics that exist are those of the table, with their type and labels', async (t) => {
  const { app, registry } = await measured(t)
  app.post('/', async () => 'ok')
  await post(app, '/')
  const readme = await readFile(join(packageRoot(), 'plugins/idempotency/README.md'), 'utf8')
  const [, section = ''] = readme.split('\n## Metrics\n')
  const rows = [...(section.split('\n## ')[0] ?? '').matchAll(/^\| `(\w+)` \| (\w+) \|(.*?)\| (.+) \|$/gm)]
  const documented = rows.map(([, name, type, labels = '']) => [name, type, [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label)])
  const existing = (await registry.getMetricsAsJSON()).map(({ name, type, values = [] }) => [name, String(type), Object.keys(values[0]?.labels ?? {}).filter((label) => label !== 'le')])
  t.same(documented.sort(), existing.sort())
})
