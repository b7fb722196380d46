import t from 'tap'
import type { DefinitionOptions } from '../../../services/scheduler/definition.js'
import { keysOf, tickQueue } from '../../../services/scheduler/queues.js'
import { testRedis, until } from '../../helper.js'
import { insertRun, reach, runOf } from './helper.js'
import { processes } from './processes.js'
import type { WorkerProcess } from './processes.js'
import { addDue, runsOf, scheduleOf, statesOf } from './rows.js'
import { jobsOf, millisecondsOf } from './ticks.js'

const hour = 3_600_000
const { pool, prefix, start } = await processes(t)
const redis = testRedis(t)
const all = await Promise.all(['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'].map((name) => start(name, {}, 'scheduler-process.js')))

const tick: DefinitionOptions = { name: 'tick', cron: '* * * * * *', overlap: 'allow' }
const changed: DefinitionOptions = { ...tick, cron: '*/2 * * * * *' }

async function boot (processes: WorkerProcess[], definitions: DefinitionOptions[], at = Date.now()): Promise<void> {
  await Promise.all(processes.map(({ tell }) => tell({ definitions, at })))
}
async function ticksOf (name: string): Promise<number[]> {
  return (await runsOf(pool, name)).map(({ tick }) => tick.getTime())
}
/** Those whose distance to the one before is another. */
function irregular (ticks: number[], every: number): number[] {
  return ticks.filter((tick, index) => index > 0 && tick - (ticks[index - 1] ?? 0) !== every)
}
/** Runs that were not run once. */
async function notOnce (): Promise<unknown[]> {
  await until('all are done', async () => (await pool.query("SELECT FROM scheduler_runs WHERE state <> 'done'")).rows.length === 0)
  return (await pool.query(`SELECT name, tick, count(run)::int AS times FROM scheduler_runs LEFT JOIN effects ON run = scheduler_runs.id
    GROUP BY scheduler_runs.id HAVING count(run) <> 1`)).rows
}

await t.test('eight that boot at once after a gap make one row of each schedule and one ticker, and run each tick once, an overdue one as well', async (t) => {
  const overdue = (await addDue(pool, [{ name: 'overdue', every: hour }], 90_000)).get('overdue')
  await boot(all, [tick, { name: 'overdue', cron: '0 0 1 1 *' }, { name: 'hourly', every: hour }], Date.now() + 300)
  await until('ticks come', async () => (await ticksOf('tick')).length >= 3)
  t.same((await pool.query('SELECT name FROM schedules ORDER BY name')).rows, [{ name: 'hourly' }, { name: 'overdue' }, { name: 'tick' }])
  t.same(await redis.zrange(`${keysOf(prefix)}:${tickQueue}:repeat`, '0', '-1'), ['tick'])
  t.same(irregular((await jobsOf(redis, prefix, 'active')).map(millisecondsOf), 1_000), [], 'the cluster has one ticker')
  t.same(irregular(await ticksOf('tick'), 1_000), [], 'no tick is left out')
  t.same(await ticksOf('overdue'), [overdue?.getTime()], 'though its expression has changed meanwhile')
  t.equal((await scheduleOf(pool, 'overdue')).next_at?.getUTCMonth(), 0, 'and then it goes by that')
  t.same(await statesOf(pool, 'hourly'), ['done'])
  t.same(await notOnce(), [])
})

await t.test('what is declared anew at the very tick loses none', async (t) => {
  const first = Math.ceil(Date.now() / 1_000) * 1_000 + 1_000
  await Promise.all([2, 3, 4, 5, 6].map((index, round) => boot(all.slice(index, index + 1), [{ ...tick, payload: { round } }], first + round * 1_000 + round * 10 - 5)))
  t.not((await scheduleOf(pool, 'tick')).payload, null, 'it was written anew')
  t.same(irregular(await ticksOf('tick'), 1_000), [])
  t.same(await notOnce(), [])
})

await t.test('in a rolling change the new definition stays, and each tick runs once, by the old one and then by the new one', async (t) => {
  const [, two, ...others] = all as [WorkerProcess, WorkerProcess, ...WorkerProcess[]]
  await boot(others, [changed], Math.floor(Date.now() / 1_000) * 1_000 + 2_500) // between two ticks
  const written = await scheduleOf(pool, 'tick')
  const changedAt = written.updated_at.getTime()
  await until('ticks come', async () => (await ticksOf('tick')).filter((tick) => tick > changedAt).length >= 2)
  const later = await scheduleOf(pool, 'tick')
  t.same([later.cron, later.updated_at], [changed.cron, written.updated_at], 'old ones that never stopped do not write')
  t.ok(later.seen_at > written.seen_at, 'though they say that they are there')
  await boot(others, [{ ...changed, revision: 1 }])
  await boot([two], [tick])
  const last = await scheduleOf(pool, 'tick')
  t.same([last.cron, last.revision, last.updated_at], [changed.cron, '1', written.updated_at], 'nor does an old one that has crashed and boots again')
  const ticks = await ticksOf('tick')
  const [before, after] = [ticks.filter((tick) => tick <= changedAt), ticks.filter((tick) => tick > changedAt)]
  t.same([...irregular(before, 1_000), ...irregular(after, 2_000)], [])
  t.equal(after[0], Math.floor(changedAt / 2_000) * 2_000 + 2_000, 'from the change on')
  t.same(await notOnce(), [])
})

await t.test('a run of a job that a process does not have goes to one that has it, and never fails', async (t) => {
  const { pool, start } = await processes(t)
  await start('old', { LACKS: 'job', UNKNOWN_DELAY: '100' })
  const id = await insertRun(pool)
  await until('it was offered and put back', async () => (await runOf(pool, id)).enqueues >= 2)
  t.match(await runOf(pool, id), { starts: 0, failures: 0 })
  await start('new')
  t.match(await reach(pool, id, 'done'), { worker: 'new', starts: 1 })
})
