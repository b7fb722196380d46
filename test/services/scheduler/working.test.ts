import t from 'tap'
import type pg from 'pg'
import type { Test } from 'tap'
import { silentLog } from '../../../services/log.js'
import { createScheduler } from '../../../services/scheduler/scheduler.js'
import { testPool, testPrefix, testRedis, until } from '../../helper.js'
import { insertRun, reach } from './helper.js'

const day = 86_400_000

/** A whole scheduler in this process, which works. */
async function working (t: Test, pool: pg.Pool): Promise<void> {
  const observer = { started () {}, ended () {}, recorded () {}, unreadable () {} }
  const owned = createScheduler({ pool, redis: testRedis(t), prefix: testPrefix(), log: silentLog, observer, isWorker: true, tick: 500, concurrency: 10, lease: 5_000, retention: day })
  for (const name of ['digest', 'job']) owned.scheduler.define({ name }, () => {})
  t.teardown(() => owned.stop(2_000))
  await owned.start()
  await owned.work()
}

/** A run of a process that died, and one that Redis has lost: both are done in the end. */
async function areRepaired (pool: pg.Pool): Promise<void> {
  const ids = [await insertRun(pool, { state: 'running', leaseIn: -10 }), await insertRun(pool, { state: 'enqueued', enqueuedAgo: 60_000 })]
  for (const id of ids) await reach(pool, id, 'done', 5_000)
}

await t.test('schedules that come due one by one, 200 a second, keep no tick from its end: runs are repaired', async (t) => {
  const pool = await testPool(t)
  await pool.query(`INSERT INTO schedules (name, owner, every_ms, hash, next_at)
    SELECT 'digest', 'user-' || n, 60000, 'h', now() + n * interval '5 ms' FROM generate_series(1, 12000) AS n`)
  await pool.query('ANALYZE schedules')
  await working(t, pool)
  await until('they run', async () => (await pool.query("SELECT FROM scheduler_runs WHERE state = 'done' LIMIT 50")).rows.length === 50)
  await areRepaired(pool)
})

await t.test('a claim that fails keeps nothing else from being done', async (t) => {
  const pool = await testPool(t)
  await pool.query("INSERT INTO schedules (name, owner, every_ms, hash, next_at) VALUES ('digest', 'user', 60000, 'h', now())")
  await pool.query(`CREATE FUNCTION fail () RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no claim'; END $$;
    CREATE TRIGGER fail BEFORE UPDATE OF next_at ON schedules FOR EACH ROW WHEN (OLD.owner = 'user') EXECUTE FUNCTION fail()`)
  await working(t, pool)
  await areRepaired(pool)
  t.same((await pool.query("SELECT FROM scheduler_runs WHERE name = 'digest'")).rows, [])
})

await t.test('runs that ended before the retention are deleted', async (t) => {
  const pool = await testPool(t)
  const ids = [await insertRun(pool, { state: 'done' }), await insertRun(pool, { state: 'done' })]
  await pool.query("UPDATE scheduler_runs SET finished_at = now() - CASE id WHEN $1 THEN interval '25 hours' ELSE interval '23 hours' END", [ids[0]])
  await working(t, pool)
  await until('the old one is gone', async () => (await pool.query('SELECT FROM scheduler_runs WHERE id = $1', [ids[0]])).rows.length === 0)
  t.equal((await pool.query('SELECT FROM scheduler_runs WHERE id = $1', [ids[1]])).rows.length, 1)
})
