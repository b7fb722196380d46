import type pg from 'pg'
import { test } from 'tap'
import { createPool } from '../../../services/database/pool.js'
import { silentLog } from '../../../services/log.js'
import { createClaiming } from '../../../services/scheduler/claiming.js'
import { toDefinition } from '../../../services/scheduler/definition.js'
import type { DefinitionOptions } from '../../../services/scheduler/definition.js'
import { createDefinitions } from '../../../services/scheduler/definitions.js'
import type { Reconciled } from '../../../services/scheduler/definitions.js'
import { createOwners } from '../../../services/scheduler/owners.js'
import { testPool } from '../../helper.js'
import { runsOf, scheduleOf } from './rows.js'

const hour = 3_600_000

async function declare (pool: pg.Pool, ...schedules: DefinitionOptions[]): Promise<Reconciled> {
  return await createDefinitions({ pool }).reconcile(schedules.map(toDefinition))
}

/** From now, of the database, to the next tick, ms. */
async function untilNext (pool: pg.Pool, name: string): Promise<number> {
  const { next_at: next, now } = await scheduleOf(pool, name)
  return Number(next) - Number(now)
}

async function setNext (pool: pg.Pool, name: string, ms: number): Promise<Date> {
  const { rows: [row] } = await pool.query<{ next_at: Date }>("UPDATE schedules SET next_at = now() + $2 * interval '1 ms' WHERE name = $1 RETURNING next_at", [name, ms])
  return row?.next_at ?? new Date(NaN)
}

await test('A new schedule ticks first after its delay', async (t) => {
  const pool = await testPool(t)
  const { written } = await declare(pool,
    { name: 'every', every: 24 * hour, startDelay: 30_000 },
    { name: 'at-once', every: 24 * hour },
    { name: 'cron', cron: '* * * * * *', startDelay: 10 * hour },
    { name: 'by-hand' })
  t.same(written.sort(), ['at-once', 'by-hand', 'cron', 'every'])
  const near = (ms: number, expected: number): boolean => ms > expected - 5_000 && ms <= expected + 1_000
  t.ok(near(await untilNext(pool, 'every'), 30_000))
  t.ok(near(await untilNext(pool, 'at-once'), 0))
  t.ok(near(await untilNext(pool, 'cron'), 10 * hour))
  t.equal((await scheduleOf(pool, 'cron')).next_at?.getMilliseconds(), 0, 'a tick of its expression')
  t.equal((await scheduleOf(pool, 'by-hand')).next_at, null)
})

await test('What is equal is not written, and what is not of the cadence moves no tick', async (t) => {
  const pool = await testPool(t)
  const options: DefinitionOptions = { name: 'job', every: hour, payload: { a: 1, b: 2 } }
  await declare(pool, options)
  const next = await setNext(pool, 'job', 20 * 60_000)
  const before = await scheduleOf(pool, 'job')
  t.same((await declare(pool, { ...options, payload: { b: 2, a: 1 }, startDelay: 5_000, retries: 3 })).written, [])
  const equal = await scheduleOf(pool, 'job')
  t.same([equal.next_at, equal.not_before, equal.updated_at], [next, null, before.updated_at])
  t.ok(equal.seen_at > before.seen_at)
  t.same((await declare(pool, { ...options, jitter: 7 })).written, ['job'])
  const { jitter_ms: jitter, next_at: kept } = await scheduleOf(pool, 'job')
  t.same([jitter, kept], [7, next])
  await declare(pool, { name: 'cron', cron: '0 0 1 1 *' })
  const ofCron = await setNext(pool, 'cron', 20 * 60_000)
  await declare(pool, { name: 'cron', cron: '0 0 1 1 *', jitter: 7 })
  t.same((await scheduleOf(pool, 'cron')).next_at, ofCron)
})

await test('A changed cadence keeps a tick that is due, and moves those ahead', async (t) => {
  const pool = await testPool(t)
  await declare(pool, { name: 'due', every: hour }, { name: 'ahead', every: hour }, { name: 'cron', cron: '0 0 1 1 *' }, { name: 'none', every: hour })
  const due = await setNext(pool, 'due', -500)
  const ahead = await setNext(pool, 'ahead', 50 * 60_000)
  await setNext(pool, 'cron', 300 * 24 * hour)
  await declare(pool, { name: 'due', cron: '0 0 1 1 *' }, { name: 'ahead', every: 2 * hour }, { name: 'cron', cron: '* * * * *' }, { name: 'none' })
  t.same((await scheduleOf(pool, 'due')).next_at, due)
  t.equal((await scheduleOf(pool, 'ahead')).next_at?.getTime(), ahead.getTime() + hour, 'two hours after the last tick')
  t.ok(await untilNext(pool, 'cron') <= 60_000)
  t.equal((await scheduleOf(pool, 'none')).next_at, null)
  await createClaiming({ pool }).claim(10)
  t.same((await runsOf(pool, 'due')).map(({ tick }) => tick), [due])
  t.ok(await untilNext(pool, 'due') > 0, 'and then it goes on as it was changed')
  await declare(pool, { name: 'ahead', every: 5_000, startDelay: 20_000 })
  const left = await untilNext(pool, 'ahead')
  t.ok(left > 15_000 && left <= 20_000, 'what would have been past already comes after the delay')
})

await test('An older revision never overwrites a newer one', async (t) => {
  const pool = await testPool(t)
  await declare(pool, { name: 'job', every: hour, revision: 2 })
  t.same((await declare(pool, { name: 'job', every: 2 * hour, revision: 1 })).written, [])
  t.equal((await scheduleOf(pool, 'job')).every_ms, hour)
  await declare(pool, { name: 'job', every: hour, revision: 5 })
  t.equal((await scheduleOf(pool, 'job')).revision, '5', 'an equal one of a newer revision protects it too')
  t.same((await declare(pool, { name: 'job', every: 2 * hour, revision: 4 })).written, [])
  t.same((await declare(pool, { name: 'job', every: 2 * hour, revision: 5 })).written, ['job'])
})

await test('A tick that a boot finds overdue waits for the delay, once', async (t) => {
  const pool = await testPool(t)
  const options: DefinitionOptions = { name: 'job', every: 24 * hour, startDelay: 30_000 }
  await declare(pool, options, { name: 'no-delay', every: 24 * hour }, { ...options, name: 'just-due' })
  const overdue = await setNext(pool, 'job', -60_000)
  await setNext(pool, 'no-delay', -60_000)
  await setNext(pool, 'just-due', -500)
  await declare(pool, options, { name: 'no-delay', every: 24 * hour }, { ...options, name: 'just-due' })
  const { not_before: until, next_at: next, now } = await scheduleOf(pool, 'job')
  t.same(next, overdue)
  t.ok(Number(until) - Number(now) > 25_000 && Number(until) - Number(now) <= 30_000)
  t.equal((await scheduleOf(pool, 'no-delay')).not_before, null)
  t.equal((await scheduleOf(pool, 'just-due')).not_before, null, 'somebody may be about to claim it')
  await declare(pool, options)
  t.same((await scheduleOf(pool, 'job')).not_before, until, 'the next boot does not put it off again')
  await pool.query("UPDATE schedules SET not_before = now() WHERE name = 'job'")
  await createClaiming({ pool }).claim(10)
  t.same((await runsOf(pool, 'job')).map(({ tick }) => tick), [overdue])
  await setNext(pool, 'job', -60_000)
  await declare(pool, options)
  t.not((await scheduleOf(pool, 'job')).not_before, null, 'another tick waits again')
})

await test('Eight processes that boot together make one row each, and lose no tick that is due', async (t) => {
  const pool = await testPool(t)
  const schedules = (every: number): DefinitionOptions[] => Array.from({ length: 20 }, (_, index) => ({ name: `job-${(index * 7) % 20}`, every }))
  const pools = Array.from({ length: 8 }, () => createPool({ url: String(pool.options.connectionString), size: 2, log: silentLog }))
  t.teardown(() => Promise.all(pools.map((each) => each.end())))
  const written = await Promise.all(pools.map((each, index) => declare(each, ...index % 2 === 0 ? schedules(hour) : schedules(hour).reverse())))
  t.equal(written.flatMap(({ written }) => written).length, 20, 'each was written by one')
  const { rows: before } = await pool.query<{ next_at: Date }>("UPDATE schedules SET next_at = now() - interval '1 s' RETURNING next_at")
  t.equal(before.length, 20)
  const claims = pools.map((each) => createClaiming({ pool: each }).claim(3))
  await Promise.all([...claims, ...pools.map((each) => declare(each, ...schedules(2 * hour)))])
  while (await createClaiming({ pool }).claim(100) > 0);
  const { rows: ticks } = await pool.query<{ tick: Date, count: number }>('SELECT tick, count(DISTINCT schedule_id)::int FROM scheduler_runs GROUP BY tick')
  t.same(ticks, [{ tick: before[0]?.next_at, count: 20 }], 'changed in the same moment, each ran its due tick')
})

await test('Only what nobody has declared for the grace is removed, and nothing of users', async (t) => {
  const pool = await testPool(t)
  await declare(pool, { name: 'gone', every: hour }, { name: 'kept', every: hour }, { name: 'recent', every: hour }, { name: 'running', every: hour })
  await createOwners({ pool, check: () => {} }).forOwner('someone').upsert({ name: 'gone', every: hour })
  await pool.query("UPDATE schedules SET seen_at = now() - interval '15 days' WHERE name <> 'recent'")
  await createDefinitions({ pool }).see([toDefinition({ name: 'running', every: hour })])
  const { removed } = await declare(pool, { name: 'kept', every: hour })
  t.same(removed, ['gone'])
  const { rows } = await pool.query('SELECT name, owner FROM schedules ORDER BY name')
  t.same(rows, [{ name: 'gone', owner: 'someone' }, { name: 'kept', owner: '' }, { name: 'recent', owner: '' }, { name: 'running', owner: '' }])
})
