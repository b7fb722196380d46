import { readFile } from 'node:fs/promises'
import { Registry } from 'prom-client'
import t from 'tap'
import { createMetrics } from '../../../plugins/locks/metrics.js'
import { testPrefix, testRedis, until } from '../../helper.js'
import { shown } from '../idempotency/measured.js'
import { build } from './helper.js'

await t.test('calls, waits, holds and losses are counted by backend', async (t) => {
  const [metrics, redis, prefix] = [new Registry(), testRedis(t), testPrefix()]
  const app = await build(t, { metrics, redis, prefix })
  const grant = await app.locks.acquire('a')
  const waiting = app.locks.acquire('a', { wait: 300 })
  await until('one waits', async () => (await shown(metrics, 'lock_waiters'))['{backend="redis"}'] === 1)
  t.same(await shown(metrics, 'lock_held'), { '{backend="redis"}': 1 })
  await t.rejects(waiting, { code: 'FST_LOCKS_TIMEOUT' })
  await redis.del(`${prefix}:{locks}:a`)
  await grant.release()
  await app.locks.tryUsing('a', {}, () => {})
  t.same(await shown(metrics, 'lock_acquire_total'), { '{backend="redis",result="acquired"}': 2, '{backend="redis",result="busy"}': 1 })
  t.same(await shown(metrics, 'lock_hold_seconds_count'), { '{backend="redis"}': 2 })
  t.same(await shown(metrics, 'lock_wait_seconds_count'), { '{backend="redis"}': 3 })
  t.same(await shown(metrics, 'lock_lost_total'), { '{backend="redis"}': 1 })
  t.same(await shown(metrics, 'lock_held'), {})
  t.same(await shown(metrics, 'lock_waiters'), {})
})

await t.test('the table of README.md has every metric, and no other', async (t) => {
  const registry = new Registry()
  createMetrics(registry)
  const names = (await registry.getMetricsAsJSON()).map(({ name }) => name)
  const documented = [...(await readFile('plugins/locks/README.md', 'utf8')).matchAll(/^\| `(lock_\w+)`/gm)].map(([, name]) => name)
  t.same(documented.sort(), names.sort())
})

await t.test('what happens is logged: debug, debug, warn, error', async (t) => {
  const lines: Array<Record<string, unknown>> = []
  const stream = { write: (line: string) => { lines.push(JSON.parse(line) as Record<string, unknown>) } }
  const [redis, prefix] = [testRedis(t), testPrefix()]
  const app = await build(t, { redis, prefix }, { logger: { level: 'debug', stream } })
  await app.locks.using('a', {}, async () => { await app.locks.using('b', {}, () => {}) })
  await t.rejects(app.locks.using('a', { ttl: 300 }, async ({ signal }) => {
    await redis.del(`${prefix}:{locks}:a`)
    await until('it is lost', () => signal.aborted)
  }))
  const grant = await app.locks.acquire('a')
  await t.rejects(app.locks.acquire('a', { wait: 100 }), { code: 'FST_LOCKS_TIMEOUT' })
  await grant.release()
  const said = new Set(lines.filter(({ plugin }) => plugin === 'locks').map(({ level, msg, names }) => `${level} ${msg} ${names}`))
  for (const line of ['20 the lock is held a', '20 the lock is given back b', '50 the lock was lost a', '40 the lock was not had a']) t.ok(said.has(line), line)
})
