import pg from 'pg'
import t from 'tap'
import { transactionOf, tryInTransaction } from '../../../../services/locks/postgres/transaction.js'
import { fairNow } from '../../../fair-clock.js'
import { testPool, until } from '../../../helper.js'
import { inTransaction, lockCount, openLocks, lockSessions, urlOf } from './helper.js'

const force = { reason: 'it hangs', by: 'admin' }

await t.test('withLock runs the routine alone, returns what it returned and gives the lock back', async (t) => {
  const pool = await testPool(t)
  const [here, there] = [openLocks(t, pool), openLocks(t, pool)]
  t.equal(await here.withLock('one', async (grant) => {
    t.match(grant, { names: ['one'], token: 1n })
    t.equal(grant.remaining(), Infinity)
    grant.assertHeld()
    t.equal(await there.tryLock('one', { timeout: 500 }), null)
    await t.rejects(there.withLock('one', () => t.fail('ran'), { timeout: 500 }), { code: 'FST_LOCKS_TIMEOUT', names: ['one'] })
    return 'done'
  }), 'done')
  t.equal(await there.isLocked('one'), false)
  t.equal(await lockCount(pool), 0)
})

await t.test('what the routine throws is what the caller gets, even after the lock was lost', async (t) => {
  const pool = await testPool(t)
  const locks = openLocks(t, pool)
  await t.rejects(locks.withLock('one', () => { throw new Error('ROUTINE') }), { message: 'ROUTINE' })
  t.equal(await locks.isLocked('one'), false)
  await t.rejects(locks.withLock('one', async ({ signal }) => {
    await pool.query('SELECT pg_terminate_backend($1)', await lockSessions(pool))
    await until('it is told', () => signal.aborted)
    t.match(signal.reason, { code: 'FST_LOCKS_LOST' })
    throw new Error('ROUTINE')
  }), { message: 'ROUTINE' })
})

await t.test('one who waits is woken by the release, in this process and in another', async (t) => {
  const pool = await testPool(t)
  const [here, there] = [openLocks(t, pool), openLocks(t, pool)]
  for (const waiter of [here, there]) {
    const grant = await here.tryLock('one')
    const waiting = waiter.tryLock('one', { interval: 60_000, timeout: 30_000 })
    await until('it waits', async () => (await here.list())[0]?.waiters === (waiter === there ? 1 : 0) && await lockCount(pool) === 2)
    const start = fairNow()
    await grant?.release()
    const next = await waiting
    t.ok(fairNow() - start < 1_000, 'woken')
    await next?.release()
  }
  await until('nobody waits', async () => await lockCount(pool) === 0)
})

await t.test('the signal ends the wait at once', async (t) => {
  const pool = await testPool(t)
  const [here, there] = [openLocks(t, pool), openLocks(t, pool)]
  await here.withLock('one', async () => {
    const abort = new AbortController()
    const waiting = there.withLock('one', () => t.fail('ran'), { interval: 60_000, timeout: 60_000, signal: abort.signal })
    await until('it waits', async () => await lockCount(pool) === 2)
    abort.abort(new Error('gone'))
    await t.rejects(waiting, { code: 'FST_LOCKS_ABORTED', cause: { message: 'gone' } })
  })
  await until('nobody waits', async () => await lockCount(pool) === 0)
})

await t.test('without Postgres it is unavailable, not busy', async (t) => {
  const locks = openLocks(t, await testPool(t), { connection: { connectionString: 'postgres://127.0.0.1:1/none' } })
  await t.rejects(locks.withLock('one', () => t.fail('ran'), { timeout: 100 }), { code: 'FST_LOCKS_UNAVAILABLE', cause: { code: 'ECONNREFUSED' } })
})

await t.test('list tells who holds what since when, and how many wait; locks of others are not ours to list', async (t) => {
  const pool = await testPool(t)
  const [here, there, third] = [openLocks(t, pool), openLocks(t, pool), openLocks(t, pool)]
  const before = Date.now() - 1_000
  await inTransaction(pool, async (query, client) => {
    await client.query("SET LOCAL application_name = 'api'")
    await tryInTransaction(query, 'in a transaction')
    const stranger = await pool.connect()
    await stranger.query('SELECT pg_advisory_lock(42)')
    let waiting: Array<Promise<void>> = []
    await here.withLock('one', async () => {
      waiting = [there, there, third].map((locks) => locks.withLock('one', () => {}))
      await until('two processes wait', async () => (await here.list()).some(({ waiters }) => waiters === 2))
      const held = await here.list()
      t.match(held, [
        { name: 'in a transaction', application: 'api', waiters: 0 },
        { name: 'one', application: 'holdfast locks', waiters: 2 }
      ])
      t.equal(held.length, 2)
      for (const { since, pid } of held) t.ok(since.getTime() > before && since.getTime() < Date.now() + 1_000 && pid > 0)
    })
    await Promise.all(waiting)
    stranger.release(true)
  })
  t.strictSame(await here.list(), [])
})

await t.test('a name that is too long to be told in a transaction is null', async (t) => {
  const pool = await testPool(t)
  await inTransaction(pool, async (query) => {
    await tryInTransaction(query, 'long '.repeat(20))
    t.match(await openLocks(t, pool).list(), [{ name: null, waiters: 0 }])
  })
})

await t.test('one who waits in a transaction is counted', async (t) => {
  const pool = await testPool(t)
  const [locks, there] = [openLocks(t, pool), openLocks(t, pool)]
  const grant = await locks.tryLock('one')
  const waiting = inTransaction(pool, (_query, transaction) => there.withLock('one', () => 'had', { transaction, interval: 20 }))
  await until('it is counted', async () => (await locks.list())[0]?.waiters === 1)
  await grant?.release()
  t.equal(await waiting, 'had')
})

await t.test('a month is a lock', async (t) => {
  const pool = await testPool(t)
  const [here, there] = [openLocks(t, pool), openLocks(t, pool)]
  await here.withMonthLock(2026, 3, async () => {
    t.equal(await there.isMonthLocked(2026, 3), true)
    t.equal(await there.isMonthLocked(2026, 4), false)
    t.match(await there.list(), [{ name: 'month:2026-03' }])
    await t.rejects(there.withMonthLock(2026, 3, () => t.fail('ran'), { timeout: 500 }), { code: 'FST_LOCKS_TIMEOUT' })
    t.equal(await there.withMonthLock(2026, 4, () => 'other'), 'other')
  })
  t.equal(await there.isMonthLocked(2026, 3), false)
  for (const month of [0, 13, 1.5, NaN]) await t.rejects(here.withMonthLock(2026, month, () => {}), { code: 'FST_LOCKS_USAGE' })
})

await t.test('forceRelease asks the holder, which loses that lock and no other, and leaves a row', async (t) => {
  const pool = await testPool(t)
  const [here, there] = [openLocks(t, pool), openLocks(t, pool)]
  const [one, other] = [await here.tryLock('one'), await here.tryLock('other')]
  t.match(await there.forceRelease('one', force), { how: 'asked', application: 'holdfast locks' })
  t.match(one?.signal.reason, { code: 'FST_LOCKS_LOST', cause: { message: 'an administrator took the lock away' } })
  t.equal(await one?.release(), false)
  t.equal(other?.signal.aborted, false)
  const next = await there.tryLock('one', { timeout: 0 })
  t.ok(next)
  t.equal(await other?.release(), true)
  t.match((await pool.query('SELECT * FROM lock_force_releases')).rows, [{ name: 'one', how: 'asked', reason: 'it hangs', released_by: 'admin' }])
  await next?.release()
})

await t.test('forceRelease ends the session of a holder that does not answer, and the transaction of one that cannot', async (t) => {
  const pool = await testPool(t)
  const locks = openLocks(t, pool)
  const client = new pg.Client({ connectionString: urlOf(pool) })
  const ended = new Promise((resolve) => client.once('end', resolve)) // `once` of Node would reject with the error
  client.on('error', () => { /* the end that is waited for */ })
  await client.connect()
  await client.query('BEGIN')
  await tryInTransaction(transactionOf(client), 'in a transaction')
  t.match(await locks.forceRelease('in a transaction', force), { how: 'terminated' })
  await ended
  t.equal(await locks.isLocked('in a transaction'), false)
  const frozen = openLocks(t, pool)
  const grant = await frozen.tryLock('frozen')
  const pid = (await locks.list())[0]?.pid ?? 0
  process.kill(pid, 'SIGSTOP') // neither hears nor ends, until it goes on
  const goesOn = until('its session is told to end', async () => (await pool.query('SELECT FROM lock_force_releases')).rows.length === 3).then(() => process.kill(pid, 'SIGCONT'))
  t.match(await locks.forceRelease('frozen', force), { how: 'terminated', pid })
  await goesOn
  await until('the holder is told', () => grant?.signal.aborted)
  t.match((await pool.query('SELECT how FROM lock_force_releases ORDER BY id')).rows, [{ how: 'terminated' }, { how: 'asked' }, { how: 'terminated' }])
})

await t.test('forceRelease of a lock that nobody holds does nothing', async (t) => {
  const pool = await testPool(t)
  t.equal(await openLocks(t, pool).forceRelease('one', force), null)
  t.equal((await pool.query('SELECT FROM lock_force_releases')).rowCount, 0)
})
