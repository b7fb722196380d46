import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import t from 'tap'
import { PrismaClient } from '../../../../prisma/generated/client.js'
import { testPool, until } from '../../../helper.js'
import { inTransaction, lockCount, openLocks, urlOf } from './helper.js'

await t.test('24 who wait, in ten processes and four transactions, one of them Prisma\'s, hold no snapshot: CREATE INDEX CONCURRENTLY ends meanwhile', async (t) => {
  const pool = await testPool(t)
  await pool.query('CREATE TABLE indexed (n int)')
  const holder = openLocks(t, pool)
  const grant = await holder.locks.acquire('one')
  const processes = Array.from({ length: 10 }, () => openLocks(t, pool))
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
  const [last = holder, ...others] = processes.slice(0, 4)
  const options = { timeout: 60_000, interval: 60_000 }
  const waiting = [
    ...processes.flatMap(({ withLock }) => [withLock('one', () => 'had', options), withLock('one', () => 'had', options)]),
    ...others.map(({ withLock }) => inTransaction(pool, async (_query, transaction) => await withLock('one', () => 'had', { ...options, transaction }))),
    prisma.$transaction(async (transaction) => await last.withLock('one', () => 'had', { ...options, transaction }), { timeout: 60_000 })
  ]
  const waiters = (): number => processes.reduce((sum, { locks }) => sum + locks.waiters('postgres'), 0)
  await until('all wait', async () => waiters() === 24 && (await holder.list())[0]?.waiters === 10)
  await until('none has a snapshot', async () => {
    const { rows } = await pool.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND backend_xmin IS NULL AND (application_name = 'holdfast locks' OR state = 'idle in transaction')")
    return rows.length === 15
  })
  const client = new pg.Client({ connectionString: urlOf(pool), statement_timeout: 4_000 })
  await client.connect()
  await client.query('CREATE INDEX CONCURRENTLY indexed_n ON indexed (n)')
  await client.end()
  t.equal(waiters(), 24)
  await grant.release()
  t.strictSame(await Promise.all(waiting), Array.from({ length: 24 }, () => 'had'))
  await until('nothing is held', async () => await lockCount(pool) === 0)
})
