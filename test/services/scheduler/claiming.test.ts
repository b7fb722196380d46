import { test } from 'tap'
import type { PoolClientLike, PoolLike } from '../../../services/database/transact.js'
import { createClaiming } from '../../../services/scheduler/claiming.js'
import type { Overlap } from '../../../services/scheduler/definition.js'
import { jitterOf } from '../../../services/scheduler/expression.js'
import { createPool } from '../../../services/database/pool.js'
import { silentLog } from '../../../services/log.js'
import { testPool } from '../../helper.js'
import { addDue, observed, runsOf, scheduleOf, statesOf } from './rows.js'

const hour = 3_600_000

await test('Four that claim at once record each tick of 2,000 schedules once', async (t) => {
  const pool = await testPool(t)
  await addDue(pool, Array.from({ length: 2_000 }, (_, index) => ({ name: `job-${index}`, every: hour })), 1_000)
  const drain = async (): Promise<number> => {
    const claimed = await createClaiming({ pool }).claim(100)
    return claimed === 0 ? 0 : claimed + await drain()
  }
  const claimed = await Promise.all([drain(), drain(), drain(), drain()])
  t.ok(claimed.filter((count) => count > 0).length > 1, `more than one had its share: ${claimed.join(' ')}`)
  t.equal(claimed.reduce((sum, count) => sum + count), 2_000)
  const { rows } = await pool.query('SELECT count(*)::int, count(DISTINCT (schedule_id, tick))::int AS distinct FROM scheduler_runs WHERE state = \'pending\'')
  t.same(rows, [{ count: 2_000, distinct: 2_000 }])
})

await test('A tick is what was due: its row says so, and the schedule has moved on', async (t) => {
  const pool = await testPool(t)
  const due = await addDue(pool, [{ name: 'daily', every: 24 * hour, jitter: 60_000, payload: { to: 'all' } }], 2_000)
  const tick = due.get('daily') ?? new Date(NaN)
  t.equal(await createClaiming({ pool }).claim(10), 1)
  const [run] = await runsOf(pool, 'daily')
  const { id, next_at: next } = await scheduleOf(pool, 'daily')
  t.match(run, { schedule_id: id, owner: '', kind: 'tick', state: 'pending', payload: { to: 'all' }, finished_at: null })
  t.same(run?.tick, tick)
  t.equal(run?.due_at.getTime(), tick.getTime() + jitterOf(id, tick, 60_000))
  t.equal(next?.getTime(), tick.getTime() + 24 * hour, 'however late it was claimed')
  t.equal(await createClaiming({ pool }).claim(10), 0)
})

await test('What is paused, put off or not due is not claimed', async (t) => {
  const pool = await testPool(t)
  await addDue(pool, ['paused', 'off', 'later', 'ended'].map((name) => ({ name, every: hour })), 1_000)
  await pool.query("UPDATE schedules SET paused_at = now() WHERE name = 'paused'")
  await pool.query("UPDATE schedules SET not_before = now() + interval '1 min' WHERE name = 'off'")
  await pool.query("UPDATE schedules SET next_at = now() + interval '1 min' WHERE name = 'later'")
  await pool.query("UPDATE schedules SET next_at = NULL WHERE name = 'ended'")
  t.equal(await createClaiming({ pool }).claim(10), 0)
  await pool.query("UPDATE schedules SET not_before = now() - interval '1 s' WHERE name = 'off'")
  t.equal(await createClaiming({ pool }).claim(10), 1)
  t.same(await statesOf(pool, 'off'), ['pending'])
  t.equal((await scheduleOf(pool, 'off')).not_before, null, 'the next tick is not put off')
})

await test('A schedule that was set back runs no tick again, and moves on', async (t) => {
  const pool = await testPool(t)
  const due = await addDue(pool, [{ name: 'back', every: 2_000, overlap: 'allow' }], 1_000)
  const claiming = createClaiming({ pool })
  await claiming.claim(10)
  const { next_at: next } = await scheduleOf(pool, 'back')
  await pool.query('UPDATE schedules SET next_at = $1', [due.get('back')])
  t.equal(await claiming.claim(10), 1)
  t.equal((await runsOf(pool, 'back')).filter(({ tick }) => tick.getTime() === due.get('back')?.getTime()).length, 1)
  t.ok(Number((await scheduleOf(pool, 'back')).next_at) >= Number(next))
})

/** Of a schedule whose ticks were due 2.5 s, 1.5 s and 0.5 s ago, after a run in each of these states. */
const overlapping: Array<{ overlap: Overlap, before: string[], then: string[], expected: string[] }> = [
  { overlap: 'allow', before: ['running'], then: ['running'], expected: ['pending', 'pending', 'pending'] },
  { overlap: 'skip', before: [], then: [], expected: ['pending', 'skipped', 'skipped'] },
  { overlap: 'skip', before: ['done', 'dead', 'skipped', 'missed', 'cancelled'], then: ['done', 'dead', 'skipped', 'missed', 'cancelled'], expected: ['pending', 'skipped', 'skipped'] },
  { overlap: 'skip', before: ['pending'], then: ['pending'], expected: ['skipped', 'skipped', 'skipped'] },
  { overlap: 'skip', before: ['enqueued'], then: ['enqueued'], expected: ['skipped', 'skipped', 'skipped'] },
  { overlap: 'skip', before: ['running'], then: ['running'], expected: ['skipped', 'skipped', 'skipped'] },
  { overlap: 'bufferOne', before: [], then: [], expected: ['pending', 'waiting', 'skipped'] },
  { overlap: 'bufferOne', before: ['running'], then: ['running'], expected: ['waiting', 'skipped', 'skipped'] },
  { overlap: 'bufferOne', before: ['running', 'waiting'], then: ['running', 'waiting'], expected: ['skipped', 'skipped', 'skipped'] },
  { overlap: 'bufferAll', before: [], then: [], expected: ['pending', 'waiting', 'waiting'] },
  { overlap: 'bufferAll', before: ['running', 'waiting'], then: ['running', 'waiting'], expected: ['waiting', 'waiting', 'waiting'] },
  { overlap: 'cancelOther', before: [], then: [], expected: ['cancelled', 'cancelled', 'pending'] },
  { overlap: 'cancelOther', before: ['done'], then: ['done'], expected: ['cancelled', 'cancelled', 'pending'] },
  { overlap: 'cancelOther', before: ['pending', 'waiting'], then: ['cancelled', 'cancelled'], expected: ['cancelled', 'cancelled', 'pending'] },
  { overlap: 'cancelOther', before: ['enqueued', 'waiting'], then: ['enqueued', 'cancelled'], expected: ['cancelled', 'cancelled', 'waiting'] },
  { overlap: 'cancelOther', before: ['running'], then: ['running'], expected: ['cancelled', 'cancelled', 'waiting'] }
]

await test('What becomes of ticks that meet a run is up to the overlap policy', async (t) => {
  const pool = await testPool(t)
  const nameOf = (index: number): string => `job-${index}`
  // the tick that another run of the same schedule has: long ago
  await addDue(pool, overlapping.map(({ overlap }, index) => ({ name: nameOf(index), every: 1_000, overlap })), 2_500)
  for (const [index, { before }] of overlapping.entries()) {
    await pool.query(`INSERT INTO scheduler_runs (schedule_id, name, kind, tick, due_at, state)
      SELECT id, name, 'tick', now() - interval '1 day' * nr, now(), state FROM schedules, unnest($2::text[]) WITH ORDINALITY AS states (state, nr) WHERE name = $1`, [nameOf(index), before.toReversed()])
  }
  t.equal(await createClaiming({ pool }).claim(100), overlapping.length)
  for (const [index, { overlap, before, then, expected }] of overlapping.entries()) {
    const runs = await runsOf(pool, nameOf(index))
    const others = runs.slice(0, before.length)
    t.same(runs.map(({ state }) => state), [...then, ...expected], `${overlap} after ${before.join(', ') || 'nothing'}`)
    for (const { state, finished_at: finished } of runs.slice(before.length)) t.equal(finished === null, state === 'pending' || state === 'waiting', `${state} has ended or not`)
    const isCancelling = overlap === 'cancelOther' && !before.includes('done')
    t.ok(others.every(({ cancel_requested: requested }) => requested === isCancelling), isCancelling ? 'the others are asked to end' : 'no other is asked to end')
  }
})

await test('A schedule that cannot be read is put off and holds up no other', async (t) => {
  const pool = await testPool(t)
  await addDue(pool, [{ name: 'strange', cron: '* * * * *' }], 60_000)
  await addDue(pool, [{ name: 'fine', every: hour }], 1_000)
  await pool.query("UPDATE schedules SET timezone = 'Mars/Olympus' WHERE name = 'strange'")
  const { claim, unreadable } = observed(pool)
  t.equal(await claim(10), 2)
  t.same(unreadable, ['strange'])
  t.same(await statesOf(pool, 'fine'), ['pending'])
  t.same(await statesOf(pool, 'strange'), [])
  t.equal(await claim(10), 0, 'not again at once')
})

await test('A claim that fails in the middle leaves nothing', async (t) => {
  const pool = await testPool(t)
  await addDue(pool, [{ name: 'job', every: hour, overlap: 'cancelOther' }], 1_000)
  await pool.query("INSERT INTO scheduler_runs (schedule_id, name, kind, tick, due_at, state) SELECT id, name, 'manual', now(), now(), 'running' FROM schedules")
  const before = await scheduleOf(pool, 'job')
  /** Its backend dies once the runs are written, before the commit. */
  const own = createPool({ url: String(pool.options.connectionString), size: 1, log: silentLog })
  t.teardown(() => own.end())
  const dying: PoolLike = {
    query: (text, values) => own.query(text, values),
    async connect () {
      const client = await own.connect()
      const ask = client.query.bind(client) as PoolClientLike['query']
      return Object.assign(client as PoolClientLike, {
        async query (text: string, values?: unknown[]) {
          if (text === 'COMMIT') await pool.query('SELECT pg_terminate_backend($1, 5000)', [Reflect.get(client, 'processID')]) // and waits until it is gone, with its locks
          return await ask(text, values)
        }
      })
    }
  }
  await t.rejects(createClaiming({ pool: dying }).claim(10))
  const after = await scheduleOf(pool, 'job')
  t.same(after.next_at, before.next_at)
  t.match(await runsOf(pool, 'job'), [{ kind: 'manual', state: 'running', cancel_requested: false }])
  t.equal(await createClaiming({ pool }).claim(10), 1, 'another one does it')
  t.same(await statesOf(pool, 'job'), ['waiting', 'running'])
})
