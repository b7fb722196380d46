import t from 'tap'
import { createControl } from '../../../services/scheduler/control.js'
import * as sql from '../../../services/scheduler/control-sql.js'
import { createHistory } from '../../../services/scheduler/history.js'
import type { RunsOptions } from '../../../services/scheduler/history.js'
import { testPool } from '../../helper.js'
import { addRun, addSchedule, scheduleRow } from './schedules.js'

const pool = await testPool(t)
const { runs, list } = createHistory({ pool })
t.beforeEach(async () => { await pool.query('TRUNCATE schedules, scheduler_runs') })

await t.test('runs come newest first, page by page, whatever is added meanwhile; of one job and owner', async (t) => {
  const [schedule, hers, other] = [await addSchedule(pool), await addSchedule(pool, { owner: 'ann' }), await addSchedule(pool, { name: 'other' })]
  const ids: string[] = []
  for (let count = 0; count < 5; count++) {
    ids.unshift(await addRun(pool, schedule, 'done'))
    await addRun(pool, hers, 'done')
    await addRun(pool, other, 'done')
  }
  const first = await runs('report', { limit: 2 })
  await addRun(pool, schedule, 'pending')
  const second = await runs('report', { limit: 2, before: first.at(-1)?.id ?? '' })
  const third = await runs('report', { limit: 2, before: second.at(-1)?.id ?? '' })
  t.strictSame([first, second, third].map((page) => page.map(({ id }) => id)), [ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)])
  t.strictSame(await runs('report', { before: third.at(-1)?.id ?? '' }), [])
  t.equal((await runs('report', { owner: 'ann' })).length, 5)
  t.strictSame(await runs('report', { owner: 'bob' }), [])
  t.equal((await runs('report')).length, 6)
})

await t.test('a run tells all that the ledger knows of it', async (t) => {
  const id = await addRun(pool, await addSchedule(pool), 'dead')
  await pool.query(`UPDATE scheduler_runs SET payload = '{"a":1}', starts = 3, failures = 2, started_at = tick, finished_at = tick, error = 'Error: no', progress = 4, total = 9,
    worker = 'w1', cancel_requested = true, request_id = 'one'`)
  const [run] = await runs('report')
  t.match(run, { id, kind: 'manual', state: 'dead', payload: { a: 1 }, requestId: 'one', starts: 3, failures: 2, error: 'Error: no', progress: 4, total: 9, worker: 'w1', isCancelled: true })
  for (const instant of [run?.tick, run?.dueAt, run?.startedAt, run?.finishedAt]) t.type(instant, Date)
})

await t.test('declared schedules are listed with their next tick, pause and newest run, and those of an owner to nobody else', async (t) => {
  const [report, hers, mail] = [await addSchedule(pool), await addSchedule(pool, { owner: 'ann' }), await addSchedule(pool, { name: 'mail', every: null, nextIn: null, overlap: 'allow' })]
  await addRun(pool, report, 'done')
  const last = await addRun(pool, report, 'running')
  await addRun(pool, hers, 'dead')
  const { pause } = createControl({ pool, next: () => null })
  const paused = await pause('report', 'for a while', { by: 'bob' })
  const nextAt = (await scheduleRow(pool, report))?.next_at
  const common = { owner: '', cron: null, timezone: 'UTC' }
  const [one, two, ...more] = await list()
  t.strictSame(one, { ...common, name: 'mail', every: null, overlap: 'allow', nextAt: null, pause: null, lastRun: null })
  t.match(two, { ...common, name: 'report', every: 60_000, overlap: 'skip', nextAt, pause: paused, lastRun: { id: last, kind: 'manual', state: 'running', error: null } })
  t.strictSame(more, [])
  t.match(await list({ owner: 'ann' }), [{ name: 'report', owner: 'ann', pause: null, lastRun: { state: 'dead' } }])
  t.strictSame(await list({ owner: 'bob' }), [])
  t.equal(await scheduleRow(pool, mail).then((row) => row?.paused_at), null)
})

await t.test('the runs of one owner are found by the index, however many others have the same job', async (t) => {
  await pool.query(`INSERT INTO scheduler_runs (name, owner, kind, tick, state, due_at)
    SELECT 'report', CASE n % 10000 WHEN 0 THEN 'ann' ELSE 'user ' || n % 1000 END, 'enqueued', now(), 'done', now() FROM generate_series(1, 30000) AS n`)
  await addSchedule(pool)
  await pool.query('ANALYZE scheduler_runs, schedules')
  const planOf = async (text: string, values: unknown[]): Promise<string> =>
    (await pool.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${text}`, values)).rows.map((row) => row['QUERY PLAN']).join('\n')
  t.match(await planOf(sql.runs, ['report', 'ann', null, 50]), /using scheduler_runs_name_owner_id_idx.*\n.*Index Cond: .*owner.*id </)
  t.match(await planOf(sql.list, ['']), /using scheduler_runs_name_owner_id_idx/)
})

await t.test('a wrong option is told', async (t) => {
  for (const options of [{ limit: 0 }, { limit: 1_001 }, { before: '' }, { before: '1 OR 1' }, { before: 7 }, { after: '1' }, { owner: null }]) {
    await t.rejects(runs('report', options as unknown as RunsOptions), { code: 'FST_SCHEDULER_OPTION_INVALID' })
  }
  await t.rejects(list({ owner: 1 } as unknown as { owner: string }), { code: 'FST_SCHEDULER_OPTION_INVALID' })
})
