import t from 'tap'
import { createLedger } from '../../../services/scheduler/ledger.js'
import { testPool } from '../../helper.js'
import { insertRun } from './helper.js'

const day = 86_400_000

await t.test('what has ended is deleted after its retention, the oldest first, and nothing else', async (t) => {
  const pool = await testPool(t)
  const ids: string[] = []
  for (const state of ['done', 'dead', 'skipped', 'pending', 'running', 'waiting']) ids.push(await insertRun(pool, { state, dueIn: -40 * day }))
  await pool.query("UPDATE scheduler_runs SET finished_at = now() - (36 + id) * interval '1 day' WHERE state IN ('done', 'dead', 'skipped')")
  const kept = await insertRun(pool, { state: 'done' })
  await pool.query("UPDATE scheduler_runs SET finished_at = now() - interval '29 days' WHERE id = $1", [kept])
  const left = async (): Promise<string[]> => (await pool.query<{ id: string }>('SELECT id::text FROM scheduler_runs ORDER BY id')).rows.map(({ id }) => id)
  const { prune } = createLedger(pool)
  t.equal(await prune(30 * day, 2), 2)
  t.strictSame(await left(), [ids[0], ...ids.slice(3), kept])
  t.equal(await prune(30 * day, 2), 1)
  t.equal(await prune(30 * day, 2), 0)
  t.strictSame(await left(), [...ids.slice(3), kept])
})

await t.test('it is found by its index, however much is kept', async (t) => {
  const pool = await testPool(t)
  await pool.query(`INSERT INTO scheduler_runs (name, kind, tick, state, due_at, finished_at)
    SELECT 'job', 'enqueued', now(), 'done', now(), now() - (i % 20) * interval '1 day' FROM generate_series(1, 5000) AS i`)
  await pool.query('ANALYZE scheduler_runs')
  const { rows } = await pool.query<{ 'QUERY PLAN': string }>("EXPLAIN SELECT id FROM scheduler_runs WHERE finished_at < now() - 2592000000 * interval '1 millisecond' ORDER BY finished_at LIMIT 1000 FOR UPDATE SKIP LOCKED")
  t.match(rows.map((row) => row['QUERY PLAN']).join('\n'), /Index Scan using scheduler_runs_finished_idx/)
})
