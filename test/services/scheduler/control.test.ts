import t from 'tap'
import { createControl } from '../../../services/scheduler/control.js'
import type { PauseOptions, Ticking } from '../../../services/scheduler/control.js'
import { testPool, until } from '../../helper.js'
import { addSchedule, begin, isOneWaiting, scheduleRow } from './schedules.js'

const pool = await testPool(t)
const asked: Array<{ ticking: Ticking, after: Date }> = []
/** As intervals tick. */
const next = (ticking: Ticking, after: Date): Date => {
  asked.push({ ticking, after })
  const every = ticking.every ?? 0
  return new Date(ticking.anchor.getTime() + (Math.floor((after.getTime() - ticking.anchor.getTime()) / every) + 1) * every)
}
const { pause, resume } = createControl({ pool, next })
t.beforeEach(async () => {
  await pool.query('TRUNCATE schedules, scheduler_runs')
  asked.length = 0
})

const unpaused = { paused_at: null, pause_reason: null, paused_by: null }

await t.test('a pause has a time, a reason and who it was, and the first one stays', async (t) => {
  const [schedule, hers] = [await addSchedule(pool), await addSchedule(pool, { owner: 'ann' })]
  const first = await pause('report', 'the mail server is down', { by: 'bob' })
  t.match(first, { reason: 'the mail server is down', by: 'bob' })
  t.ok(Math.abs(Date.now() - (first?.at.getTime() ?? 0)) < 60_000, 'now')
  t.strictSame(await pause('report', 'another reason'), first)
  const row = await scheduleRow(pool, schedule)
  t.strictSame([row?.paused_at, row?.pause_reason, row?.paused_by], [first?.at, 'the mail server is down', 'bob'])
  t.match(await scheduleRow(pool, hers), unpaused)
  t.match(await pause('report', 'hers', { owner: 'ann' }), { reason: 'hers', by: null })
})

await t.test('of two at once one is the pause, and both are told so', async (t) => {
  await addSchedule(pool)
  const all = await Promise.all(['one', 'two', 'three'].map((reason) => pause('report', reason)))
  t.equal(new Set(all.map((pause) => pause?.reason)).size, 1)
})

await t.test('resumed it ticks after now: ticks of the pause are left out, in the rhythm of before', async (t) => {
  const schedule = await addSchedule(pool, { every: 60_000, nextIn: -150 })
  const before = (await scheduleRow(pool, schedule))?.next_at as Date
  await pause('report', 'for a while')
  const resumed = await resume('report')
  t.strictSame(resumed?.nextAt?.getTime(), before.getTime() + 180_000)
  const row = await scheduleRow(pool, schedule)
  t.match(row, unpaused)
  t.strictSame(row?.next_at, resumed?.nextAt)
  t.strictSame(asked.map(({ ticking }) => ticking), [{ cron: null, every: 60_000, timezone: 'UTC', anchor: before }])
  t.ok(Math.abs(Date.now() - (asked[0]?.after.getTime() ?? 0)) < 60_000, 'after now')
})

await t.test('a tick that is to come, and that there is none, are kept', async (t) => {
  for (const nextIn of [30, null]) {
    const schedule = await addSchedule(pool, { name: `in ${nextIn}`, nextIn })
    const before = (await scheduleRow(pool, schedule))?.next_at as Date | null
    await pause(`in ${nextIn}`, 'for a while')
    t.strictSame(await resume(`in ${nextIn}`), { nextAt: before })
    t.strictSame((await scheduleRow(pool, schedule))?.next_at, before)
  }
  t.strictSame(asked, [])
})

await t.test('one that is not paused stays as it is, with a tick that is due', async (t) => {
  const schedule = await addSchedule(pool, { nextIn: -150 })
  const before = await scheduleRow(pool, schedule)
  t.strictSame(await resume('report'), { nextAt: before?.next_at })
  t.strictSame(await scheduleRow(pool, schedule), before)
})

await t.test('a claim that is under way is waited for, and what it left is what is resumed', { timeout: 10_000 }, async (t) => {
  const schedule = await addSchedule(pool, { nextIn: -150 })
  await pause('report', 'for a while')
  const claim = await begin(t, pool)
  await claim.query("UPDATE schedules SET next_at = now() + interval '1 day' WHERE id = $1", [schedule])
  const resuming = resume('report')
  await until('it waits', () => isOneWaiting(pool))
  await claim.query('COMMIT')
  const resumed = await resuming
  t.ok((resumed?.nextAt?.getTime() ?? 0) > Date.now() + 80_000_000)
  const row = await scheduleRow(pool, schedule)
  t.match(row, unpaused)
  t.strictSame(row?.next_at, resumed?.nextAt)
})

await t.test('when the next tick cannot be told, it stays paused', async (t) => {
  const schedule = await addSchedule(pool, { nextIn: -150 })
  await pause('report', 'for a while')
  const unable = createControl({ pool, next: () => { throw new TypeError('no such zone') } })
  await t.rejects(unable.resume('report'), { message: 'no such zone' })
  t.match(await scheduleRow(pool, schedule), { pause_reason: 'for a while' })
  t.match(await resume('report'), { nextAt: Date }) // and is not locked
})

await t.test('where there is no such schedule it is null, and a wrong option is told', async (t) => {
  await addSchedule(pool, { owner: 'ann' })
  t.strictSame([await pause('report', 'none'), await resume('report'), await resume('other', { owner: 'ann' })], [null, null, null])
  for (const [reason, options] of [['', {}], [' ', {}], [undefined, {}], ['yes', { by: '' }], ['yes', { from: 'me' }]] as Array<[string, PauseOptions]>) {
    await t.rejects(pause('report', reason, options), { code: 'FST_SCHEDULER_OPTION_INVALID' })
  }
  await t.rejects(resume('report', { owner: null as unknown as string }), { code: 'FST_SCHEDULER_OPTION_INVALID' })
})
