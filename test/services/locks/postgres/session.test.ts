import { once } from 'node:events'
import t from 'tap'
import { fairNow } from '../../../fair-clock.js'
import { testPool, until } from '../../../helper.js'
import { keptLog } from '../../flags/helper.js'
import { inTransaction, lockCount, lockSessions, openBackend, openLocksOf, take, taken } from './helper.js'

await t.test('the same session asked twice never grants twice', async (t) => {
  const backend = openBackend(t, await testPool(t))
  const attempts = await Promise.all(Array.from({ length: 50 }, () => take(backend, 'one')))
  const holds = attempts.filter((attempt) => attempt !== 'busy')
  t.equal(holds.length, 1)
  t.equal(await take(backend, 'one'), 'busy')
  t.equal(await holds[0]?.release(), true)
  t.equal(await (await taken(backend, 'one')).release(), true)
})

await t.test('two processes never both hold, and other names do not mind', async (t) => {
  const pool = await testPool(t)
  const [here, there] = [openBackend(t, pool), openBackend(t, pool)]
  const hold = await taken(here, 'one')
  t.equal(await take(there, 'one'), 'busy')
  await taken(there, 'two')
  await hold.release()
  await taken(there, 'one')
})

await t.test('of another namespace the same name is another lock', async (t) => {
  const pool = await testPool(t)
  await taken(openBackend(t, pool), 'one')
  await taken(openBackend(t, pool, { namespace: 'other' }), 'one')
})

await t.test('several names are taken all or none, whatever their order, and given back together', async (t) => {
  const pool = await testPool(t)
  const [here, there] = [openBackend(t, pool), openBackend(t, pool)]
  const hold = await taken(here, 'b')
  t.equal(await take(there, 'a', 'b', 'c'), 'busy')
  t.equal(await lockCount(pool), 1, 'nothing is kept of an attempt that failed')
  await hold.release()
  const all = await taken(there, 'c', 'a', 'b', 'a')
  for (const name of ['a', 'b', 'c']) t.equal(await take(here, name), 'busy')
  t.equal(await all.release(), true)
  t.equal(await lockCount(pool), 0)
})

await t.test('two who want the same names in opposite orders do not block each other', async (t) => {
  const pool = await testPool(t)
  const backends = [openBackend(t, pool), openBackend(t, pool)] as const
  let rounds = 0
  const work = async (backend: typeof backends[number], names: string[]): Promise<void> => {
    for (let count = 0; count < 20;) {
      const hold = await take(backend, ...names)
      if (hold === 'busy') continue
      rounds++
      count++
      await hold.release()
    }
  }
  await Promise.all([work(backends[0], ['a', 'b']), work(backends[1], ['b', 'a'])])
  t.equal(rounds, 40)
})

await t.test('a second release answers as the first did, and leaves the next holder alone', async (t) => {
  const backend = openBackend(t, await testPool(t))
  const hold = await taken(backend, 'one')
  t.equal(await hold.release(), true)
  await taken(backend, 'one')
  t.equal(await hold.release(), true)
  t.equal(await take(backend, 'one'), 'busy')
})

await t.test('neither COMMIT nor ROLLBACK of the work gives it back', async (t) => {
  const pool = await testPool(t)
  const [here, there] = [openBackend(t, pool), openBackend(t, pool)]
  const hold = await taken(here, 'one')
  await inTransaction(pool, async (query) => { await query('SELECT 1', []) })
  await t.rejects(inTransaction(pool, async (query) => { await query('SELECT 1 / 0', []) }))
  t.equal(await take(there, 'one'), 'busy')
  t.equal(hold.lost?.aborted, false)
  t.equal(await hold.release(), true)
})

await t.test('a killed session: every holder is told within 1 s, the process lives and can lock again', async (t) => {
  const pool = await testPool(t)
  const { log, lines } = keptLog()
  const backend = openBackend(t, pool, { log })
  const holds = [await taken(backend, 'one'), await taken(backend, 'two', 'three')]
  const start = fairNow()
  await pool.query('SELECT pg_terminate_backend($1)', await lockSessions(pool))
  await until('all are told', () => holds.every(({ lost }) => lost?.aborted), 1_000)
  t.ok(fairNow() - start < 1_000, 'in time')
  for (const hold of holds) {
    t.equal(hold.validUntil(), 0)
    t.equal(await hold.release(), false)
  }
  await taken(backend, 'one')
  t.equal(holds[0]?.lost?.aborted, true, 'the new grant is not the old one')
  t.ok(lines.some(({ level, message }) => level === 'error' && message.includes('what it held is lost')))
})

await t.test('a session that is silent is given up after the heartbeat and the timeout', async (t) => {
  const pool = await testPool(t)
  const backend = openBackend(t, pool, { heartbeat: 100, timeout: 300 })
  const hold = await taken(backend, 'one')
  const [pid = 0] = await lockSessions(pool)
  process.kill(pid, 'SIGSTOP')
  t.teardown(() => process.kill(pid, 'SIGCONT'))
  const start = fairNow()
  await once(hold.lost as AbortSignal, 'abort')
  t.ok(fairNow() - start < 1_000, 'in time')
  t.match(hold.lost?.reason, { message: 'Postgres did not answer for 300 ms' })
})

await t.test('an event loop that stood still for longer than the timeout does not take that for silence', async (t) => {
  const backend = openBackend(t, await testPool(t), { timeout: 200 })
  await backend.open()
  const attempt = taken(backend, 'one')
  await new Promise((resolve) => setImmediate(resolve)) // the question has left
  const end = performance.now() + 600
  while (performance.now() < end);
  t.equal(await (await attempt).release(), true)
})

await t.test('an unlock that Postgres refuses is logged, and ends the session with all its locks', async (t) => {
  const pool = await testPool(t)
  const { log, lines } = keptLog()
  const { session, attempt } = await openLocksOf(t, pool, log)
  const [one, other] = [await attempt(['one']), await attempt(['other'])]
  if (one.outcome !== 'granted' || other.outcome !== 'granted') throw new Error('not granted')
  await session.query({ text: 'SELECT pg_advisory_unlock_all()' }, [])
  t.equal(await one.hold.release(), false)
  t.equal(other.hold.lost?.aborted, true)
  t.match(lines, [{ level: 'error' }])
})

await t.test('a session that somebody else got hold of grants nothing, and is ended', async (t) => {
  const pool = await testPool(t)
  const { session, attempt } = await openLocksOf(t, pool)
  const held = await attempt(['held'])
  await session.query({ text: "SELECT set_config('holdfast.owner', 'another', false)" }, [])
  await t.rejects(attempt(['one']), { code: 'FST_LOCKS_USAGE', message: /directUrl/ })
  t.equal(held.outcome === 'granted' && held.hold.lost?.aborted, true)
  await until('its locks are gone', async () => await lockCount(pool) === 0)
})

await t.test('a statement that fails half-way keeps no lock', async (t) => {
  const pool = await testPool(t)
  const { attempt } = await openLocksOf(t, pool)
  await pool.query('ALTER TABLE held_locks RENAME TO elsewhere')
  t.match(await attempt(['one']), { outcome: 'unavailable', cause: { code: '42P01' } })
  await pool.query('ALTER TABLE elsewhere RENAME TO held_locks')
  await pool.query('ALTER TABLE held_locks ADD CHECK (name <> \'one\')')
  t.match(await attempt(['one']), { outcome: 'unavailable', cause: { code: '23514' } })
  t.equal(await lockCount(pool), 0)
  t.match(await attempt(['two']), { outcome: 'granted' })
})

await t.test('closed, it refuses, and its session ends with the last lock that is held', async (t) => {
  const pool = await testPool(t)
  const backend = openBackend(t, pool)
  const hold = await taken(backend, 'one')
  await backend.close()
  t.equal(await lockCount(pool), 1)
  t.equal(await hold.release(), true)
  await until('the session is gone', async () => (await lockSessions(pool)).length === 0)
  t.match(await backend.attempt(['one'], Infinity), { outcome: 'unavailable' })
})

await t.test('the rows of sessions that ended without a word are gone with the next one', async (t) => {
  const pool = await testPool(t)
  await pool.query("INSERT INTO held_locks VALUES (1, 'left', 1, now())")
  const backend = openBackend(t, pool)
  await taken(backend, 'one')
  t.match((await pool.query('SELECT name FROM held_locks')).rows, [{ name: 'one' }])
})
