import pg from 'pg'
import t from 'tap'
import { fairNow } from '../../../fair-clock.js'
import { testPool, until } from '../../../helper.js'
import { lockCount, openBackend, openLocks, spawnScript, take, taken, urlOf } from './helper.js'

for (const mode of ['session', 'xact']) {
  await t.test(`two processes with 20 workers each count exactly, by reading before they write (${mode})`, async (t) => {
    const pool = await testPool(t)
    await pool.query('CREATE TABLE counted AS SELECT 0 AS n')
    const processes = [1, 2].map(() => spawnScript(t, 'worker.js', urlOf(pool), mode, '10'))
    t.strictSame(await Promise.all(processes.map(({ exited }) => exited)), [0, 0])
    t.match((await pool.query('SELECT n FROM counted')).rows, [{ n: 400 }])
    await until('nothing is held', async () => await lockCount(pool) === 0)
  })
}

await t.test('the locks of a killed process are free within 1 s', async (t) => {
  const pool = await testPool(t)
  const locks = openLocks(t, pool)
  const { child, line } = spawnScript(t, 'worker.js', urlOf(pool), 'hold')
  t.equal(await line(), 'held')
  t.equal(await locks.tryLock('counter', { timeout: 500 }), null)
  const start = fairNow()
  child.kill('SIGKILL')
  const grant = await locks.tryLock('counter', { timeout: 5_000 })
  t.ok(fairNow() - start < 1_000, 'in time')
  await grant?.release()
})

await t.test('CREATE INDEX CONCURRENTLY does not wait for those who wait for a lock', async (t) => {
  const pool = await testPool(t)
  await pool.query('CREATE TABLE indexed (n int)')
  const [holder, other] = [openBackend(t, pool), openLocks(t, pool)]
  const hold = await taken(holder, 'one')
  const waiting = other.withLock('one', () => 'had', { interval: 20 })
  await until('it waits', async () => await lockCount(pool) === 2)
  const client = new pg.Client({ connectionString: urlOf(pool), statement_timeout: 3_000 })
  await client.connect()
  await client.query('CREATE INDEX CONCURRENTLY indexed_n ON indexed (n)')
  await client.end()
  t.equal(await take(holder, 'one'), 'busy')
  await hold.release()
  t.equal(await waiting, 'had')
})
