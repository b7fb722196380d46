import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { PrismaClient } from '../../../prisma/generated/client.js'
import { testPool } from '../../helper.js'
import { inTransaction, lockCount } from '../../services/locks/postgres/helper.js'
import { build } from './helper.js'

async function both (t: Test): Promise<{ pool: pg.Pool, app: FastifyInstance, other: FastifyInstance }> {
  const pool = await testPool(t)
  const options = { redis: undefined, postgres: pool, prefix: 'a' }
  return { pool, app: await build(t, options), other: await build(t, options) }
}

await t.test('a session lock outlives COMMIT and ROLLBACK of its work, and ends with it', async (t) => {
  const { pool, app: { locks: { advisory } }, other } = await both(t)
  await t.rejects(advisory.withLock('x', async () => {
    await inTransaction(pool, async (query) => { await query('SELECT 1', []) })
    await t.rejects(inTransaction(pool, async (query) => { await query('SELECT 1 / 0', []) }))
    t.equal(await other.locks.advisory.tryLock('x', { timeout: 500 }), null)
    throw new Error('of the work')
  }), { message: 'of the work' })
  const grant = await other.locks.advisory.tryLock('x') // not at once: its look before may have come too late, and be on its way back
  t.equal(await grant?.release(), true)
  t.equal(await lockCount(pool), 0)
})

await t.test('the lock of a transaction ends with its COMMIT, for pg and for Prisma', async (t) => {
  const { pool, app, app: { locks: { advisory } }, other } = await both(t)
  const isFree = async (): Promise<boolean> => await other.locks.advisory.tryLock('x', { timeout: 0 }).then(async (grant) => await grant?.release() ?? false)
  await inTransaction(pool, async (_query, transaction) => {
    t.equal(await advisory.withLock('x', ({ names, token }) => [...names, token].join(), { transaction }), 'x,')
    t.equal(await isFree(), false, 'the routine has ended, and the transaction has not')
  })
  t.equal(await isFree(), true)
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
  await prisma.$transaction(async (transaction) => {
    t.strictSame(await advisory.tryLock('x', { transaction, fencing: true }), { name: 'x', token: 2n })
    t.equal(await isFree(), false)
  })
  t.equal(await isFree(), true)
  const start = performance.now()
  await app.close()
  t.ok(performance.now() - start < 2_000, 'nothing is waited for that nobody gives back')
})

await t.test('what is not in a transaction is refused', async (t) => {
  const { pool, app: { locks: { advisory } } } = await both(t)
  const client = await pool.connect()
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
  for (const transaction of [client, prisma]) await t.rejects(advisory.withLock('x', () => t.fail('it ran'), { transaction }), { code: 'FST_LOCKS_USAGE', message: /none was begun/ })
  for (const transaction of [pool, {}, 1]) await t.rejects(advisory.tryLock('x', { transaction: transaction as never }), { code: 'FST_LOCKS_USAGE', message: /^option `transaction` must be/ })
  client.release()
})

await t.test('the same name nested is refused at once, of a session and of a transaction', async (t) => {
  const { pool, app: { locks, locks: { advisory } } } = await both(t)
  await inTransaction(pool, async (_query, transaction) => {
    const nested = async (): Promise<void> => {
      const refused = { code: 'FST_LOCKS_USAGE', message: /is held already by the code that asks for it/ }
      await t.rejects(advisory.withLock('x', () => t.fail('it ran')), refused)
      await t.rejects(advisory.tryLock('x', { transaction }), refused)
      await t.rejects(locks.using(['x', 'y'], { backend: 'postgres' }, () => t.fail('it ran')), refused)
      t.equal(await advisory.withLock('y', () => 'another', { transaction }), 'another')
    }
    await advisory.withLock('x', nested)
    await locks.using('x', {}, nested)
    await advisory.withLock('x', nested, { transaction })
  })
})

await t.test('wrong names and options are mistakes of the program', async (t) => {
  const { app: { locks: { advisory } } } = await both(t)
  for (const name of ['', 1, ['x']]) await t.rejects(advisory.withLock(name as string, () => t.fail('it ran')), { code: 'FST_LOCKS_USAGE', message: /^the name of a lock/ })
  for (const options of [{ timeout: -1 }, { interval: 0 }, { signal: 1 }, { fencing: 1 }, { wait: 1 }]) {
    await t.rejects(advisory.tryLock('x', options as never), { code: 'FST_LOCKS_USAGE', message: /^option `/ })
  }
})

await t.test('a transaction whose connection breaks while it waits is told so, and not when its time is over', async (t) => {
  const { pool, app: { locks: { advisory } }, other } = await both(t)
  const grant = await other.locks.advisory.tryLock('x')
  const client = new pg.Client({ connectionString: pool.options.connectionString })
  client.on('error', () => { /* what the test does */ })
  await client.connect()
  await client.query('BEGIN')
  const { rows: [row] } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  const start = performance.now()
  const waiting = advisory.withLock('x', () => t.fail('it ran'), { transaction: client, timeout: 30_000 }).then(() => null, (error: unknown) => error)
  await pool.query('SELECT pg_terminate_backend($1)', [row?.pid])
  t.ok(await waiting instanceof Error, 'of the connection or of Postgres, whichever comes first')
  t.ok(performance.now() - start < 5_000)
  await grant?.release()
})

await t.test('a busy lock is looked at in the interval', async (t) => {
  const { app: { locks: { advisory } }, other } = await both(t)
  const grant = await other.locks.advisory.tryLock('x')
  const attempts = async (interval: number): Promise<number> => await advisory.withLock('x', () => 0, { timeout: 1_000, interval }).catch(({ attempts }: { attempts: number }) => attempts)
  const [often, seldom] = [await attempts(10), await attempts(60_000)]
  t.ok(often >= 20 && seldom < 10, `${often}, ${seldom}`)
  await grant?.release()
})

await t.test('a month is one lock', async (t) => {
  const { app: { locks: { advisory } }, other } = await both(t)
  await advisory.withMonthLock(2026, 3, async () => {
    t.same([await other.locks.advisory.isMonthLocked(2026, 3), await other.locks.advisory.isMonthLocked(2026, 4)], [true, false])
    await t.rejects(other.locks.advisory.withMonthLock(2026, 3, () => t.fail('it ran'), { timeout: 500 }), { code: 'FST_LOCKS_TIMEOUT', names: ['month:2026-03'] })
  })
})
