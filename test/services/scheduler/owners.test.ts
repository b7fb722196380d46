import { test } from 'tap'
import { createClaiming } from '../../../services/scheduler/claiming.js'
import { createJobs } from '../../../services/scheduler/jobs.js'
import * as sql from '../../../services/scheduler/claiming-sql.js'
import { createOwners } from '../../../services/scheduler/owners.js'
import { testPool, until } from '../../helper.js'
import { runsOf, scheduleOf } from './rows.js'

const hour = 3_600_000

await test('An owner has schedules of his own', async (t) => {
  const pool = await testPool(t)
  const { forOwner } = createOwners({ pool, check: () => {} })
  const [ann, bob] = [forOwner('ann'), forOwner('bob')]
  t.equal(await ann.upsert({ name: 'digest', cron: '0 8 * * *', timezone: 'Europe/Berlin', jitter: 60_000, payload: { to: 'ann' } }), true)
  t.equal(await ann.upsert({ name: 'backup', every: hour }), true)
  t.equal(await bob.upsert({ name: 'digest', every: hour }), true)
  t.match(await ann.list(), [
    { name: 'backup', cron: null, every: hour, timezone: 'UTC', jitter: 0, payload: null },
    { name: 'digest', cron: '0 8 * * *', every: null, timezone: 'Europe/Berlin', jitter: 60_000, overlap: 'skip', catchUp: { policy: 'latest', window: hour, cap: 100 }, payload: { to: 'ann' }, nextAt: Date, pausedAt: null, pauseReason: null }
  ])
  t.equal(await ann.remove('digest'), true)
  t.equal(await ann.remove('digest'), false)
  t.match(await ann.list(), [{ name: 'backup' }])
  t.match(await bob.list(), [{ name: 'digest' }], 'nobody else loses one')
})

await test('An equal one keeps its next tick; a tick that is due stays', async (t) => {
  const pool = await testPool(t)
  const ann = createOwners({ pool, check: () => {} }).forOwner('ann')
  await ann.upsert({ name: 'digest', every: hour })
  const { rows: [due] } = await pool.query("UPDATE schedules SET next_at = now() - interval '1 min' RETURNING next_at")
  t.equal(await ann.upsert({ name: 'digest', every: hour }), false)
  t.equal(await ann.upsert({ name: 'digest', every: 2 * hour, payload: 2 }), true)
  t.same((await scheduleOf(pool, 'digest', 'ann')).next_at, due.next_at)
  await createClaiming({ pool }).claim(10)
  const [run, ...more] = await runsOf(pool, 'digest')
  t.match([run, ...more], [{ owner: 'ann', payload: 2, state: 'pending' }])
  t.same(run?.tick, due.next_at)
})

interface Plan { 'Node Type': string, 'Index Name'?: string, 'Actual Rows': number, Plans?: Plan[] }

await test('Of many schedules a claim reads those that are due', async (t) => {
  const pool = await testPool(t)
  const { forOwner } = createOwners({ pool, check: () => {} })
  await Promise.all(Array.from({ length: 2_000 }, (_, index) => forOwner(`user-${index}`).upsert({ name: 'digest', every: hour, startDelay: hour })))
  await pool.query("UPDATE schedules SET next_at = now() - interval '1 s' WHERE id % 10 = 0")
  const client = await pool.connect()
  await client.query('BEGIN')
  await client.query(sql.begin)
  const { rows: [row] } = await client.query<{ 'QUERY PLAN': Array<{ Plan: Plan }> }>(`EXPLAIN (ANALYZE, FORMAT JSON) ${sql.lockDue}`, [1_000])
  await client.query('ROLLBACK')
  client.release()
  const nodes = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)]
  const plans = nodes(row?.['QUERY PLAN'][0]?.Plan as Plan)
  t.ok(plans.some((plan) => plan['Index Name'] === 'schedules_due_idx'), `by its index: ${plans.map((plan) => plan['Index Name'] ?? plan['Node Type']).join()}`)
  t.ok(plans.every((plan) => plan['Actual Rows'] === 200))
  const claiming = createClaiming({ pool })
  t.strictSame([await claiming.claim(150), await claiming.claim(150), await claiming.claim(150)], [150, 50, 0])
  t.equal(new Set((await runsOf(pool, 'digest')).map(({ schedule_id: schedule }) => schedule)).size, 200)
})

await test('What waits of a schedule that is removed does not run', async (t) => {
  const pool = await testPool(t)
  const ann = createOwners({ pool, check: () => {} }).forOwner('ann')
  await ann.upsert({ name: 'digest', every: hour })
  await pool.query(`INSERT INTO scheduler_runs (schedule_id, name, kind, tick, due_at, state)
    SELECT id, name, 'manual', now() + nr * interval '1 s', now(), state FROM schedules, unnest(ARRAY['running', 'enqueued', 'pending', 'waiting', 'done']) WITH ORDINALITY AS states (state, nr)`)
  await ann.remove('digest')
  t.match(await runsOf(pool, 'digest'), [
    { state: 'running' }, { state: 'enqueued' }, { state: 'cancelled', finished_at: Date, error: 'its schedule was removed' }, { state: 'cancelled' }, { state: 'done', error: null }
  ])
})

await test('What a claim records while its schedule is removed does not run', async (t) => {
  const pool = await testPool(t)
  const ann = createOwners({ pool, check: () => {} }).forOwner('ann')
  await ann.upsert({ name: 'digest', every: hour })
  const claimer = await pool.connect()
  await claimer.query('BEGIN')
  await claimer.query('SELECT FROM schedules FOR NO KEY UPDATE')
  const removed = ann.remove('digest')
  await until('the removal waits for the claim', async () => (await pool.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")).rowCount === 1)
  await claimer.query("INSERT INTO scheduler_runs (schedule_id, name, kind, tick, due_at, state) SELECT id, name, 'tick', now(), now(), 'pending' FROM schedules")
  await claimer.query('COMMIT')
  claimer.release()
  t.equal(await removed, true)
  t.match(await runsOf(pool, 'digest'), [{ state: 'cancelled' }])
})

await test('An owner who leaves has no schedule left, and others keep theirs', async (t) => {
  const pool = await testPool(t)
  const { forOwner } = createOwners({ pool, check: () => {} })
  for (const name of ['a', 'b']) await forOwner('ann').upsert({ name, every: hour })
  await forOwner('bob').upsert({ name: 'a', every: hour })
  t.equal(await forOwner('ann').removeAll(), 2)
  t.strictSame([await forOwner('ann').list(), (await forOwner('bob').list()).length], [[], 1])
})

await test('A job that nobody has, and a payload that does not fit it, are refused before a row is written', async (t) => {
  const pool = await testPool(t)
  const jobs = createJobs()
  jobs.define({ name: 'digest', schema: { type: 'object', required: ['to'] } }, () => {})
  const ann = createOwners({ pool, check: jobs.check }).forOwner('ann')
  await t.rejects(ann.upsert({ name: 'digset', every: hour }), { code: 'FST_SCHEDULER_UNKNOWN_JOB' })
  await t.rejects(ann.upsert({ name: 'digest', every: hour, payload: {} }), { code: 'FST_SCHEDULER_PAYLOAD_INVALID' })
  t.strictSame(await ann.list(), [])
  t.equal(await ann.upsert({ name: 'digest', every: hour, payload: { to: 'ann' } }), true)
})

await test('Wrong options and owners are refused', async (t) => {
  const { forOwner } = createOwners({ pool: await testPool(t), check: () => {} })
  await t.rejects(forOwner('ann').upsert({ name: 'x', cron: `* * * * ${'1,'.repeat(1_000)}1` }), { message: /256 characters at most, got/ })
  await t.rejects(forOwner('ann').upsert({ name: 'x', every: 1_000, jitter: 2_000 }), { message: /^schedule `x`: option `jitter` must be `every` \(1000\) at most, got / })
  await t.rejects(forOwner('ann').upsert({ name: 'x', cron: '* * * *' }), { code: 'FST_SCHEDULER_OPTION_INVALID', message: /^schedule `x`: option `cron` must be/ })
  for (const owner of ['', 'a\0', 'a'.repeat(256), 7 as unknown as string]) t.throws(() => forOwner(owner), { code: 'FST_SCHEDULER_OPTION_INVALID', message: /^an owner must be a string of 1 to 255 characters/ })
})
