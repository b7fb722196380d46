import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Pool } from 'pg'
import t from 'tap'
import type { Test } from 'tap'
import { testPool, until } from '../../../helper.js'
import { inTransaction, lockCount, lockSessions, openLocks, urlOf } from './helper.js'

/** As an administrator sets them for web requests, ms, and shorter. */
const hurried = {
  statement_timeout: '100',
  lock_timeout: '50',
  idle_session_timeout: '200',
  idle_in_transaction_session_timeout: '200',
  transaction_timeout: '150'
}
const pastAll = 300

/** The defaults of a database. They hold for connections that are opened from now on. */
async function setDefaults (pool: Pool, settings: Record<string, string>): Promise<void> {
  const database = new URL(urlOf(pool)).pathname.slice(1)
  for (const [name, value] of Object.entries(settings)) await pool.query(`ALTER DATABASE ${database} SET ${name} = '${value}'`)
}

/** A pool whose sessions the database ends when they are idle. */
function otherPool (t: Test, { options }: Pool): Pool {
  const pool = new pg.Pool({ connectionString: options.connectionString })
  pool.on('error', () => { /* what the test wants */ })
  t.teardown(() => pool.end())
  return pool
}

await t.test('a session lock is held, waited for and asked for past all time limits of the database', async (t) => {
  const pool = await testPool(t)
  await setDefaults(pool, hurried)
  const [here, there] = [openLocks(t, pool), openLocks(t, pool)]
  const grant = await here.tryLock('one')
  const waiting = there.withLock('one', () => 'had', { interval: 60_000, timeout: 30_000 })
  await until('it waits', async () => await lockCount(pool) === 2)
  const sessions = await lockSessions(pool)
  await sleep(pastAll * 2) // the time limits themselves
  grant?.assertHeld()
  t.strictSame(await lockSessions(pool), sessions)
  await grant?.release()
  t.equal(await waiting, 'had')
  await pool.query("CREATE FUNCTION slow () RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END'")
  await pool.query('CREATE TRIGGER slow BEFORE INSERT ON held_locks FOR EACH ROW EXECUTE FUNCTION slow()')
  t.equal(await here.withLock('one', () => 'slow', { timeout: 0 }), 'slow')
  t.strictSame(await lockSessions(pool), sessions)
})

await t.test('a transaction that waits for a busy lock keeps its settings, and goes on', async (t) => {
  const pool = await testPool(t)
  await setDefaults(pool, { ...hurried, transaction_timeout: '0' })
  const [locks, work] = [openLocks(t, pool), otherPool(t, pool)]
  const settings = 'SELECT name, setting FROM pg_settings ORDER BY name'
  const holder = openLocks(t, pool)
  const grant = await holder.tryLock('one')
  await work.query('CREATE TABLE written (n int)')
  await inTransaction(work, async (query, transaction) => {
    const before = await query(settings, [])
    await t.rejects(locks.withLock('one', () => t.fail('it ran'), { transaction, timeout: pastAll * 2 }), { code: 'FST_LOCKS_TIMEOUT' })
    t.equal(await locks.tryLock('one', { transaction, timeout: 0 }), null)
    t.strictSame(await query(settings, []), before)
    await query('INSERT INTO written VALUES (1)', [])
    await grant?.release()
    t.match(await locks.tryLock('one', { transaction, timeout: 0 }), { name: 'one' })
  })
  t.match((await pool.query('SELECT n FROM written')).rows, [{ n: 1 }])
})
