import pg from 'pg'
import type { Pool } from 'pg'
import t from 'tap'
import { faultProxy } from '../../../chaos/fault-proxy.js'
import { testPool, until } from '../../../helper.js'
import { inTransaction, lockCount, openLocks, urlOf } from './helper.js'

/** How many grants there were. */
async function tokens (pool: Pool): Promise<number> {
  const { rows: [row] } = await pool.query<{ drawn: number }>('SELECT CASE WHEN is_called THEN last_value ELSE 0 END::int AS drawn FROM lock_tokens')
  return row?.drawn ?? 0
}

await t.test('a wait that is over before the first answer tells that nobody knows, and not that somebody holds the lock; what is granted late is given back', async (t) => {
  const pool = await testPool(t)
  const proxy = await faultProxy(t, urlOf(pool))
  const connection = { connectionString: proxy.url }
  proxy.delay(20) // longer than the wait, and a connection takes some round trips
  const unknown = { code: 'FST_LOCKS_UNAVAILABLE', attempts: 1, cause: { message: 'there was no answer in time' } }
  for (const timeout of [1, 2, 5]) {
    const [before, locks] = [await tokens(pool), openLocks(t, pool, { connection })] // never connected before
    await t.rejects(locks.withLock('one', () => t.fail('it ran'), { timeout }), unknown)
    await t.rejects(locks.tryLock('one', { timeout }), unknown)
    await until('what came late is given back', async () => await tokens(pool) > before && await lockCount(pool) === 0)
  }
})

await t.test('a wait of 0 asks once and has its answer, however long that takes', async (t) => {
  const pool = await testPool(t)
  const proxy = await faultProxy(t, urlOf(pool))
  proxy.delay(20)
  const [here, there] = [openLocks(t, pool, { connection: { connectionString: proxy.url } }), openLocks(t, pool)]
  t.equal(await here.withLock('one', async () => await there.tryLock('one', { timeout: 0 }), { timeout: 0 }), null)
})

await t.test('a transaction whose wait is over before the answer may have the lock all the same, and only until it ends', async (t) => {
  const pool = await testPool(t)
  const proxy = await faultProxy(t, urlOf(pool))
  const [here, there] = [openLocks(t, pool), openLocks(t, pool)]
  const slow = new pg.Pool({ connectionString: proxy.url })
  t.teardown(() => slow.end())
  await inTransaction(slow, async (query, transaction) => {
    proxy.delay(20)
    await t.rejects(here.withLock('one', () => t.fail('it ran'), { transaction, timeout: 2 }), { code: 'FST_LOCKS_UNAVAILABLE' })
    t.match(await query('SELECT 1 AS one', []), [{ one: 1 }], 'the transaction goes on')
    t.equal(await there.tryLock('one', { timeout: 0 }), null)
  })
  t.equal(await (await there.tryLock('one', { timeout: 0 }))?.release(), true)
})
