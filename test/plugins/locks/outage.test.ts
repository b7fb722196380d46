import Fastify from 'fastify'
import pg from 'pg'
import { Registry } from 'prom-client'
import t from 'tap'
import locks from '../../../plugins/locks/index.js'
import { faultProxy } from '../../chaos/fault-proxy.js'
import { testDatabase, testPool, until } from '../../helper.js'
import { lockSessions, urlOf } from '../../services/locks/postgres/helper.js'
import { startPgbouncer } from '../../services/locks/postgres/pgbouncer.js'
import { build, untilWaiting } from './helper.js'

await t.test('a broken connection aborts the signal of its holder within 1 s, and the next request has the lock', async (t) => {
  const [postgres, metrics] = [await testPool(t), new Registry()]
  const app = await build(t, { redis: undefined, postgres, metrics })
  let told = Infinity
  app.get('/broken', { config: { lock: { key: () => 'x' } } }, async ({ lock }) => {
    await postgres.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [await lockSessions(postgres)])
    const start = performance.now()
    await until('it is told', () => lock?.signal.aborted)
    told = performance.now() - start
    t.throws(() => lock?.assertHeld(), { code: 'FST_LOCKS_LOST' })
    return 'done'
  })
  app.get('/', { config: { lock: { key: () => 'x' } } }, async () => 'done')
  t.match((await app.inject({ url: '/broken' })).json<object>(), { statusCode: 500, code: 'FST_LOCKS_LOST' })
  t.ok(told < 1_000, `${told} ms`)
  t.equal((await app.inject({ url: '/' })).body, 'done')
  t.match(await metrics.metrics(), 'lock_lost_total{backend="postgres"} 1\n')
})

await t.test('an outage of Postgres is waited for as a busy lock is, and told apart from one', async (t) => {
  const [postgres, metrics] = [await testPool(t), new Registry()]
  const proxy = await faultProxy(t, urlOf(postgres))
  const app = await build(t, { redis: undefined, postgres, directUrl: proxy.url, metrics })
  proxy.refuse()
  proxy.resetAll()
  await t.rejects(app.locks.using('x', { wait: 200 }, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE', statusCode: 503, cause: Error })
  await t.rejects(app.locks.tryUsing('x', {}, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' })
  const waiting = app.locks.using('x', { wait: 20_000 }, () => 'mine')
  await untilWaiting(metrics, 1, 'postgres')
  proxy.heal()
  t.equal(await waiting, 'mine')
  t.match(await metrics.metrics(), 'lock_acquire_total{backend="postgres",result="unavailable"} 2\n')
})

await t.test('one who waits is heard of again after the connection broke', async (t) => {
  const postgres = await testPool(t)
  const holder = await build(t, { redis: undefined, postgres, prefix: 'a' })
  const proxy = await faultProxy(t, urlOf(postgres))
  const app = await build(t, { redis: undefined, postgres, directUrl: proxy.url, prefix: 'a' })
  const grant = await holder.locks.acquire('x')
  const waiting = app.locks.using('x', { wait: 60_000 }, () => 'mine')
  const isCounted = async (): Promise<boolean> => (await holder.locks.list())[0]?.waiters === 1
  await until('it waits', isCounted)
  proxy.resetAll()
  await until('its session is gone', async () => !await isCounted())
  await until('another session waits', isCounted)
  await grant.release()
  t.equal(await waiting, 'mine')
})

await t.test('the boot goes on without Postgres, and its locks come with it', async (t) => {
  const postgres = await testPool(t)
  const proxy = await faultProxy(t, urlOf(postgres))
  proxy.refuse()
  const app = await build(t, { redis: undefined, postgres, directUrl: proxy.url })
  await t.rejects(app.locks.using('x', { wait: 0 }, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' })
  proxy.heal()
  t.equal(await app.locks.using('x', {}, () => 'mine'), 'mine')
})

await t.test('a database that refuses, or has no tables for locks, fails the boot', async (t) => {
  const url = await testDatabase(t, 'template1')
  for (const connectionString of [url, Object.assign(new URL(url), { pathname: '/none' }).href, Object.assign(new URL(url), { username: 'nobody' }).href]) {
    const postgres = new pg.Pool({ connectionString })
    t.teardown(() => postgres.end())
    const app = Fastify()
    t.teardown(() => app.close())
    await t.rejects(async () => { await app.register(locks, { postgres }) }, { code: 'FST_LOCKS_OPTION_INVALID', message: /^option `postgres` must lead to a database with the tables of Holdfast, which `migrate` of holdfast\/migrations makes, got the error "/ })
  }
})

await t.test('a pooler in transaction mode fails the boot with the option to set; with it, sessions are direct and transactions go through', async (t) => {
  const pool = await testPool(t)
  const url = await startPgbouncer(t, urlOf(pool), 'transaction')
  if (url === null) return
  const postgres = new pg.Pool({ connectionString: url })
  t.teardown(() => postgres.end())
  const refused = Fastify()
  t.teardown(() => refused.close())
  await t.rejects(async () => { await refused.register(locks, { postgres }) }, { code: 'FST_LOCKS_USAGE', message: /set the option `directUrl`/ })
  const app = await build(t, { redis: undefined, postgres, directUrl: urlOf(pool) })
  await app.locks.using('x', {}, async () => {
    const client = await postgres.connect()
    await client.query('BEGIN')
    t.equal(await app.locks.isLocked('x'), true)
    t.equal(await app.locks.advisory.withLock('y', () => 'mine', { transaction: client }), 'mine')
    await client.query('COMMIT')
    client.release()
  })
})
