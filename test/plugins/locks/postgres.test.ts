import { PrismaPg } from '@prisma/adapter-pg'
import { Redis } from 'ioredis'
import pg from 'pg'
import { Registry } from 'prom-client'
import t from 'tap'
import { PrismaClient } from '../../../prisma/generated/client.js'
import { testPool, testRedis, until } from '../../helper.js'
import { ownRedis } from '../../own-servers.js'
import { shown } from '../idempotency/measured.js'
import { lockCount, lockSessions, urlOf } from '../../services/locks/postgres/helper.js'
import { build, untilWaiting } from './helper.js'

const force = { reason: 'it hangs', by: 'admin' }

await t.test('a lock of Postgres is a lock like those of Redis: waited for, several at once, with a token, counted', async (t) => {
  const [postgres, metrics] = [await testPool(t), new Registry()]
  const [app, other] = [await build(t, { postgres, prefix: 'a', metrics }), await build(t, { postgres, prefix: 'a' })]
  const order: string[] = []
  const first = await app.locks.acquire(['y', 'x'], { backend: 'postgres' })
  t.match(first, { names: ['x', 'y'], token: 1n })
  t.equal(first.remaining(), Infinity)
  t.same(await other.locks.tryUsing('y', { backend: 'postgres' }, () => {}), { acquired: false })
  const waiting = app.locks.using('y', { backend: 'postgres' }, () => order.push('second'))
  await untilWaiting(metrics, 1, 'postgres')
  t.same(await shown(metrics, 'lock_held'), { '{backend="postgres"}': 1 })
  order.push('first')
  await first.release()
  await waiting
  t.same(order, ['first', 'second'])
  const grant = await other.locks.acquire('x', { backend: 'postgres' })
  await t.rejects(app.locks.using('x', { backend: 'postgres', wait: 500 }, () => t.fail('it ran')), { code: 'FST_LOCKS_TIMEOUT' })
  t.equal(await grant.release(), true)
  t.same(await shown(metrics, 'lock_acquire_total'), { '{backend="postgres",result="acquired"}': 2, '{backend="postgres",result="busy"}': 1 })
  t.same(await shown(metrics, 'lock_hold_seconds_count'), { '{backend="postgres"}': 2 })
  t.equal(await lockCount(postgres), 0)
})

await t.test('without Redis Postgres is the default; with it, its tokens and those of Postgres are of one sequence', async (t) => {
  const postgres = await testPool(t)
  const [alone, both] = [await build(t, { redis: undefined, postgres }), await build(t, { postgres })]
  t.equal(await alone.locks.using('a', {}, ({ token }) => token), 1n)
  t.equal(await both.locks.using('a', { fencing: true }, ({ token, remaining }) => remaining() < 10_000 ? token : null), 2n)
  t.equal(await both.locks.using('a', { fencing: true, backend: 'postgres' }, ({ token }) => token), 3n)
  t.equal(await both.locks.using('a', {}, ({ token }) => token), null)
})

await t.test('a token does not need a connection of the pool, which holders may have used up', async (t) => {
  const postgres = await testPool(t)
  const app = await build(t, { postgres })
  const clients = await Promise.all(Array.from({ length: postgres.options.max ?? 0 }, () => postgres.connect()))
  t.equal(await app.locks.using('a', { fencing: true, wait: 0 }, ({ token }) => token), 1n)
  for (const client of clients) client.release()
})

await t.test('a pool that was not made from a URL leads there too, with the password that it hides', async (t) => {
  const pool = await testPool(t)
  const { hostname, port, username, password, pathname } = new URL(urlOf(pool))
  const postgres = new pg.Pool({ host: hostname, port: Number(port), user: username, password: decodeURIComponent(password), database: pathname.slice(1), application_name: 'api' })
  t.teardown(() => postgres.end())
  const app = await build(t, { redis: undefined, postgres })
  await app.locks.using('x', {}, async () => { t.match(await app.locks.list(), [{ name: 'x', application: 'api locks' }]) })
})

await t.test('of another prefix the same name is another lock, and is not listed', async (t) => {
  const postgres = await testPool(t)
  const [app, other] = [await build(t, { postgres, prefix: 'a' }), await build(t, { postgres, prefix: 'b' })]
  await app.locks.using('x', { backend: 'postgres' }, async () => {
    await other.locks.using('x', { backend: 'postgres', wait: 0 }, async () => {
      t.match(await app.locks.list(), [{ name: 'x' }])
      t.equal((await app.locks.list()).length, 1)
    })
    t.same(await other.locks.list(), [])
  })
})

await t.test('isLocked asks every backend, or the one that is named', async (t) => {
  const app = await build(t, { postgres: await testPool(t) })
  const answers = async (): Promise<boolean[]> => [await app.locks.isLocked('x'), await app.locks.isLocked('x', { backend: 'redis' }), await app.locks.isLocked('x', { backend: 'postgres' })]
  t.same(await answers(), [false, false, false])
  await app.locks.using('x', {}, async () => { t.same(await answers(), [true, true, false]) })
  await app.locks.using('x', { backend: 'postgres' }, async () => { t.same(await answers(), [true, false, true]) })
  await t.rejects(app.locks.isLocked('x', { backend: 'mongo' as 'redis' }), { code: 'FST_LOCKS_USAGE', message: /option `backend` must be/ })
})

for (const backend of ['redis', 'postgres'] as const) {
  await t.test(`a name that a client has sent may have any characters (${backend})`, async (t) => {
    const app = await build(t, { postgres: await testPool(t), redis: testRedis(t) })
    for (const names of [['a\0b'], ['a\ud800', 'a\ud801'], ['\ud83d\ude00 \'"\\ {x}\n']]) {
      const isHeld = await app.locks.using(names, { backend, wait: 0 }, async () => await Promise.all(names.map((name) => app.locks.isLocked(name, { backend }))))
      t.equal(isHeld.includes(false), false, JSON.stringify(names))
    }
  })
}

await t.test('NUL in a name does not abort the transaction that takes it', async (t) => {
  const postgres = await testPool(t)
  const [app, client] = [await build(t, { postgres }), await postgres.connect()]
  await client.query('BEGIN')
  await app.locks.advisory.withLock('a\0b', async () => { t.equal(await app.locks.isLocked('a\0b'), true) }, { transaction: client })
  t.equal((await client.query('COMMIT')).command, 'COMMIT')
  client.release()
  t.equal(await app.locks.forceRelease('a\0b', force), null)
})

await t.test('a Redis that cannot be had says neither locked nor free', async (t) => {
  const server = await ownRedis(t)
  const redis = new Redis(server.url)
  redis.on('error', () => {}) // what the test does
  t.teardown(() => { redis.disconnect() })
  const app = await build(t, { redis })
  t.equal(await app.locks.isLocked('x'), false)
  await server.kill()
  await t.rejects(app.locks.isLocked('x'), { code: 'FST_LOCKS_UNAVAILABLE', names: ['x'] })
})

await t.test('over a Prisma client and directUrl: list, isLocked, and forceRelease, which tells the holder and is audited', async (t) => {
  const pool = await testPool(t)
  const postgres = new PrismaClient({ adapter: new PrismaPg(pool) })
  const app = await build(t, { redis: undefined, postgres, directUrl: urlOf(pool), prefix: 'a' })
  const grant = await app.locks.acquire('x')
  t.match(await app.locks.list(), [{ name: 'x', pid: (await lockSessions(pool))[0], application: 'holdfast locks', waiters: 0, since: Date }])
  t.equal(await app.locks.isLocked('x'), true)
  t.match(await app.locks.forceRelease('x', force), { how: 'asked', application: 'holdfast locks' })
  t.match(grant.signal.reason, { code: 'FST_LOCKS_LOST' })
  t.equal(await grant.release(), false)
  t.equal(await app.locks.isLocked('x'), false)
  t.equal(await app.locks.forceRelease('x', force), null)
  t.match((await pool.query('SELECT * FROM lock_force_releases')).rows, [{ name: 'x', reason: 'it hangs', released_by: 'admin' }])
  for (const wrong of [{ reason: ' ', by: 'admin' }, { reason: 'x' }, { by: 'x' }, { ...force, now: true }]) {
    await t.rejects(app.locks.forceRelease('x', wrong as never), { code: 'FST_LOCKS_USAGE', message: /^option `/ })
  }
})

await t.test('without Postgres, what needs it names the option', async (t) => {
  const app = await build(t)
  const { locks, locks: { advisory } } = app
  const refused = { code: 'FST_LOCKS_USAGE', message: /needs the option `postgres`/ }
  const calls: Array<() => Promise<unknown>> = [
    () => locks.list(), () => locks.forceRelease('x', force), () => locks.isLocked('x', { backend: 'postgres' }), () => locks.acquire('x', { backend: 'postgres' }),
    () => advisory.withLock('x', () => {}), () => advisory.tryLock('x'), () => advisory.withMonthLock(2026, 1, () => {}), () => advisory.isMonthLocked(2026, 1)
  ]
  for (const call of calls) await t.rejects(async () => { await call() }, refused)
  t.equal(await locks.isLocked('x'), false)
  const alone = await build(t, { redis: undefined, postgres: await testPool(t) })
  await t.rejects(alone.locks.isLocked('x', { backend: 'redis' }), { code: 'FST_LOCKS_USAGE', message: /needs the option `redis`/ })
})

await t.test('a stop ends the waits, and closes the connection of the locks and no other', async (t) => {
  const [postgres, metrics] = [await testPool(t), new Registry()]
  const app = await build(t, { postgres, metrics })
  const grant = await app.locks.acquire('x', { backend: 'postgres' })
  const waiting = t.rejects(app.locks.advisory.withLock('x', () => t.fail('it ran'), { timeout: 60_000 }), { code: 'FST_LOCKS_ABORTED' })
  const client = await postgres.connect()
  await client.query('BEGIN')
  const inTransaction = t.rejects(app.locks.advisory.withLock('x', () => t.fail('it ran'), { timeout: 60_000, transaction: client }), { code: 'FST_LOCKS_ABORTED' })
  await untilWaiting(metrics, 2, 'postgres')
  const closing = app.close()
  await Promise.all([waiting, inTransaction])
  await t.rejects(app.locks.acquire('y', { backend: 'postgres' }), { code: 'FST_LOCKS_ABORTED' })
  t.equal((await lockSessions(postgres)).length, 1)
  t.equal(await grant.release(), true)
  await closing
  await client.query('ROLLBACK')
  client.release()
  await until('its session is gone', async () => (await lockSessions(postgres)).length === 0)
  t.match((await postgres.query('SELECT 1 AS one')).rows, [{ one: 1 }])
})
