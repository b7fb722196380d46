import { test } from 'tap'
import { createClaiming } from '../../../services/scheduler/claiming.js'
import { testPool } from '../../helper.js'
import { addDue, observed, scheduleOf, statesOf } from './rows.js'

const hour = 3_600_000

await test('What becomes of late ticks is up to the catch-up policy', async (t) => {
  const pool = await testPool(t)
  const window = 4.5 * hour // the ticks were 6.5, 5.5, … and 0.5 hours ago
  await addDue(pool, [
    { name: 'none', every: hour, overlap: 'allow', catchUp: { policy: 'none', window } },
    { name: 'latest', every: hour, overlap: 'allow', catchUp: { policy: 'latest', window } },
    { name: 'all', every: hour, overlap: 'allow', catchUp: { policy: 'all', window } },
    { name: 'capped', every: hour, overlap: 'allow', catchUp: { policy: 'all', window, cap: 2 } },
    { name: 'too-late', every: hour, overlap: 'allow', catchUp: { policy: 'latest', window: hour / 4 } }
  ], 6.5 * hour)
  const { claim, recorded } = observed(pool)
  t.equal(await claim(10), 5)
  const missed = (count: number): string[] => Array.from({ length: count }, () => 'missed')
  t.same(await statesOf(pool, 'none'), missed(7))
  t.same(await statesOf(pool, 'latest'), [...missed(6), 'pending'])
  t.same(await statesOf(pool, 'all'), [...missed(3), 'pending', 'pending', 'pending', 'pending'])
  t.same(await statesOf(pool, 'capped'), [...missed(2), 'pending', 'pending'], 'of those that do not run the last ones are recorded, as many as the cap says')
  t.same(await statesOf(pool, 'too-late'), missed(7))
  t.same(recorded.filter(({ state }) => state === 'missed').map(({ name, count }) => `${name} ${count}`).sort(), ['all 3', 'capped 2', 'latest 6', 'none 7', 'too-late 7'])
  for (const name of ['none', 'all', 'capped']) {
    const { next_at: next, now } = await scheduleOf(pool, name)
    t.ok(Number(next) > Number(now), `${name} has its next tick ahead`)
  }
})

await test('Ticks that are all caught up with wait for each other, where they would skip each other', async (t) => {
  const pool = await testPool(t)
  await addDue(pool, (['skip', 'bufferOne', 'bufferAll', 'cancelOther'] as const).map((overlap) => ({ name: overlap, every: hour, overlap, catchUp: { policy: 'all', window: 4.5 * hour } })), 2.5 * hour)
  await createClaiming({ pool }).claim(10)
  for (const name of ['skip', 'bufferOne', 'bufferAll']) t.same(await statesOf(pool, name), ['pending', 'waiting', 'waiting'], name)
  t.same(await statesOf(pool, 'cancelOther'), ['cancelled', 'cancelled', 'pending'])
})

await test('Ticks that are late by seconds run whatever the policy is', async (t) => {
  const pool = await testPool(t)
  await addDue(pool, (['none', 'latest', 'all'] as const).map((policy) => ({ name: policy, every: 1_000, overlap: 'allow', catchUp: { policy } })), 3_500)
  await createClaiming({ pool }).claim(10)
  for (const name of ['none', 'latest', 'all']) t.same(await statesOf(pool, name), ['pending', 'pending', 'pending', 'pending'], name)
})

await test('After years no more is looked at or recorded than the cap', async (t) => {
  const pool = await testPool(t)
  await addDue(pool, [{ name: 'old', cron: '* * * * * *', overlap: 'allow', catchUp: { policy: 'all', window: 60_000, cap: 5 } }], 5 * 365 * 24 * hour)
  const started = performance.now()
  t.equal(await createClaiming({ pool }).claim(10), 1)
  t.ok(performance.now() - started < 2_000)
  const states = await statesOf(pool, 'old')
  t.same(states.slice(0, 5), ['missed', 'missed', 'missed', 'missed', 'missed'])
  t.ok(states.length <= 5 + 5 + 11 && states.slice(5).every((state) => state === 'pending'), states.join(' '))
})

await test('A claim records no more ticks than a statement takes in its time, and the next one goes on', async (t) => {
  const pool = await testPool(t)
  await pool.query(`INSERT INTO schedules (name, owner, every_ms, catch_up_cap, hash, next_at)
    SELECT 'digest', 'user-' || n, 60000, 1000, 'h', now() - interval '2 days' - n * interval '1 s' FROM generate_series(1, 30) AS n`)
  const recorded = async (): Promise<number> => (await pool.query<{ count: number }>('SELECT count(*)::int FROM scheduler_runs')).rows[0]?.count ?? 0
  const { claim } = createClaiming({ pool })
  const claimed = await claim(1_000)
  t.ok(claimed > 10 && claimed < 30, `${claimed} schedules`)
  t.ok(await recorded() < 22_011)
  t.equal(await claim(1_000), 30 - claimed)
  t.ok(await recorded() > 30_000)
})

await test('What takes too long to compute is left for the next claim', async (t) => {
  const pool = await testPool(t)
  const seconds = Array.from({ length: 40 }, (_, second) => second)
  const farHour = (new Date().getUTCHours() + 12) % 24 // none comes again meanwhile
  await addDue(pool, seconds.map((second) => ({ name: `job-${second}`, cron: `${second} * ${farHour} * * *`, catchUp: { policy: 'none', cap: 100 } })), 24 * hour)
  const claiming = createClaiming({ pool, budget: 20 })
  const claimed: number[] = []
  do claimed.push(await claiming.claim(100)); while (claimed.at(-1) !== 0)
  t.ok(claimed.length > 2, claimed.join(' '))
  t.equal(claimed.reduce((sum, count) => sum + count), 40)
  for (const second of seconds) t.ok(await scheduleOf(pool, `job-${second}`).then(({ next_at: next, now }) => Number(next) > Number(now)))
})
