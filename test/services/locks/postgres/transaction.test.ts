import { PrismaPg } from '@prisma/adapter-pg'
import t from 'tap'
import { PrismaClient } from '../../../../prisma/generated/client.js'
import { transactionOf, tryInTransaction } from '../../../../services/locks/postgres/transaction.js'
import { fairNow } from '../../../fair-clock.js'
import { testPool, until } from '../../../helper.js'
import { inTransaction, lockCount, openBackend, openLocks, take, taken } from './helper.js'

await t.test('one transaction has it until its COMMIT or ROLLBACK, and a session lock of the name is the same lock', async (t) => {
  const pool = await testPool(t)
  const backend = openBackend(t, pool)
  for (const end of ['COMMIT', 'ROLLBACK']) {
    await inTransaction(pool, async (query, client) => {
      t.match(await tryInTransaction(query, 'one'), { name: 'one', token: null })
      await inTransaction(pool, async (other) => { t.equal(await tryInTransaction(other, 'one'), null) })
      t.equal(await take(backend, 'one'), 'busy')
      await client.query(end)
      await (await taken(backend, 'one')).release()
    })
  }
  const hold = await taken(backend, 'one')
  await inTransaction(pool, async (query) => { t.equal(await tryInTransaction(query, 'one'), null) })
  await hold.release()
  t.equal(await lockCount(pool), 0)
})

await t.test('uncontended it costs one round trip', async (t) => {
  const pool = await testPool(t)
  const locks = openLocks(t, pool)
  await inTransaction(pool, async (query, transaction) => {
    let asked = 0
    const counted = { query: async (text: string, values: unknown[]) => { asked++; return await transaction.query(text, values) }, getTransactionStatus: () => transaction.getTransactionStatus() }
    t.equal(await locks.withLock('one', () => 'done', { transaction: counted }), 'done')
    t.equal(asked, 1)
  })
})

await t.test('a Prisma transaction takes it too', async (t) => {
  const pool = await testPool(t)
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
  await prisma.$transaction(async (tx) => {
    t.match(await tryInTransaction(transactionOf(tx), 'one', { fencing: true }), { token: 1n })
    await inTransaction(pool, async (query) => { t.equal(await tryInTransaction(query, 'one'), null) })
  })
  await inTransaction(pool, async (query) => { t.match(await tryInTransaction(query, 'one'), { name: 'one' }) })
  await t.rejects(tryInTransaction(transactionOf(prisma), 'one'), { code: 'FST_LOCKS_USAGE', message: /none was begun/ })
})

await t.test('outside of a transaction, and under REPEATABLE READ, it is a mistake; under SERIALIZABLE it is not', async (t) => {
  const pool = await testPool(t)
  const client = await pool.connect()
  await t.rejects(tryInTransaction(transactionOf(client), 'one'), { code: 'FST_LOCKS_USAGE', message: /none was begun/ })
  client.release()
  await inTransaction(pool, async (query) => {
    await t.rejects(tryInTransaction(query, 'one'), { code: 'FST_LOCKS_USAGE', message: /REPEATABLE READ/ })
  }, 'BEGIN ISOLATION LEVEL REPEATABLE READ')
  await inTransaction(pool, async (query) => {
    t.match(await tryInTransaction(query, 'one'), { name: 'one' })
  }, 'BEGIN ISOLATION LEVEL SERIALIZABLE')
  await inTransaction(pool, async (query) => { t.match(await tryInTransaction(query, 'one'), { name: 'one' }) }, 'BEGIN READ ONLY')
})

await t.test('one who waits gets it when the other commits, and sees what that wrote', async (t) => {
  const pool = await testPool(t)
  await pool.query('CREATE TABLE counted (n int)')
  const locks = openLocks(t, pool)
  await inTransaction(pool, async (query, client) => {
    await tryInTransaction(query, 'one')
    const second = inTransaction(pool, (other, transaction) => locks.withLock('one', async () => await other('SELECT n FROM counted', []), { transaction, interval: 10 }))
    await until('it waits', () => locks.locks.waiters('postgres') === 1)
    await client.query('INSERT INTO counted VALUES (7)')
    await client.query('COMMIT')
    t.match(await second, [{ n: 7 }])
  })
})

await t.test('the deadline and the signal end the wait, and the transaction stays good', async (t) => {
  const pool = await testPool(t)
  const locks = openLocks(t, pool)
  await inTransaction(pool, async (query) => {
    await tryInTransaction(query, 'one')
    await inTransaction(pool, async (other, transaction) => {
      const start = fairNow()
      await t.rejects(locks.withLock('one', () => {}, { transaction, timeout: 150, interval: 20 }), { code: 'FST_LOCKS_TIMEOUT', names: ['one'] })
      t.ok(fairNow() - start < 600, 'near the deadline')
      const abort = new AbortController()
      const waiting = locks.withLock('one', () => {}, { transaction, signal: abort.signal, interval: 60_000, timeout: 60_000 })
      await until('it waits', () => locks.locks.waiters('postgres') === 1)
      abort.abort(new Error('gone'))
      await t.rejects(waiting, { code: 'FST_LOCKS_ABORTED', cause: { message: 'gone' } })
      t.match(await other('SELECT 1 AS one', []), [{ one: 1 }])
    })
  })
})

await t.test('rolled back to a savepoint from before, it is free', async (t) => {
  const pool = await testPool(t)
  await inTransaction(pool, async (query, client) => {
    await client.query('SAVEPOINT before')
    await tryInTransaction(query, 'one')
    await client.query('ROLLBACK TO SAVEPOINT before')
    await inTransaction(pool, async (other) => { t.match(await tryInTransaction(other, 'one'), { name: 'one' }) })
  })
})
