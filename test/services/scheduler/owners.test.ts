import { test } from 'tap'
import { createClaiming } from '../../../services/scheduler/claiming.js'
import * as sql from '../../../services/scheduler/claiming-sql.js'
import { createOwners } from '../../../services/scheduler/owners.js'
import { testPool } from '../../helper.js'
import { runsOf, scheduleOf } from './rows.js'

const hour = 3_600_000

await test('An owner has schedules of his own', async (t) => {
  const pool = await testPool(t)
  const { forOwner } = createOwners({ pool })
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
  const ann = createOwners({ pool }).forOwner('ann')
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
  const { forOwner } = createOwners({ pool })
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
  const ann = createOwners({ pool }).forOwner('ann')
  await ann.upsert({ name: 'digest', every: hour })
  await pool.query(`INSERT INTO scheduler_runs (schedule_id, name, kind, tick, due_at, state)
    SELECT id, name, 'manual', now() + nr * interval '1 s', now(), state FROM schedules, unnest(ARRAY['running', 'enqueued', 'pending', 'waiting', 'done']) WITH ORDINALITY AS states (state, nr)`)
  await ann.remove('digest')
  t.match(await runsOf(pool, 'digest'), [
    { state: 'running', schedule_id: null }, { state: 'enqueued' }, { state: 'cancelled', schedule_id: null, finished_at: Date }, { state: 'cancelled' }, { state: 'done' }
  ])
})

await test('Wrong options and owners are refused', async (t) => {
  const { forOwner } = createOwners({ pool: await testPool(t) })
  await t.rejects(forOwner('ann').upsert({ name: 'x', cron: '* * * *' }), { name: 'TypeError', message: /^schedule `x`: option `cron` must be/ })
  for (const owner of ['', 'a\0', 'a'.repeat(256), 7 as unknown as string]) t.throws(() => forOwner(owner), { name: 'TypeError', message: /^an owner must be a string of 1 to 255 characters/ })
})
