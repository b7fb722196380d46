import t from 'tap'
import { createControl } from '../../../services/scheduler/control.js'
import type { TriggerOptions } from '../../../services/scheduler/control.js'
import { enqueue } from '../../../services/scheduler/enqueue.js'
import { testPool, until } from '../../helper.js'
import { addRun, addSchedule, begin, isOneWaiting, runRow, scheduleRow } from './schedules.js'

const pool = await testPool(t)
const { trigger, pause } = createControl({ pool, next: () => null })
t.beforeEach(async () => { await pool.query('TRUNCATE schedules, scheduler_runs') })

const count = async (): Promise<number> => (await pool.query('SELECT FROM scheduler_runs')).rows.length

await t.test('a run is asked for, of kind manual, with the payload of the schedule or its own; no tick is touched', async (t) => {
  const schedule = await addSchedule(pool, { payload: { to: 'all' } })
  const before = await scheduleRow(pool, schedule)
  const [own, other] = [await trigger('report'), await addRun(pool, schedule, 'done')]
  await pool.query("UPDATE scheduler_runs SET state = 'done'")
  const given = await trigger('report', { payload: [1] })
  t.match(own, { state: 'pending', isNew: true })
  t.match(await runRow(pool, own?.id ?? ''), { schedule, name: 'report', owner: '', kind: 'manual', payload: { to: 'all' }, request_id: null, finished_at: null })
  t.match(await runRow(pool, given?.id ?? ''), { state: 'pending', payload: [1] })
  t.not(own?.id, other)
  t.strictSame(await scheduleRow(pool, schedule), before)
})

await t.test('of one owner it is that owner\'s schedule', async (t) => {
  const [, second] = [await addSchedule(pool), await addSchedule(pool, { owner: 'ann' })]
  const run = await trigger('report', { owner: 'ann' })
  t.match(await runRow(pool, run?.id ?? ''), { schedule: second, owner: 'ann' })
  t.equal(await trigger('report', { owner: 'bob' }), null)
  t.equal(await trigger('other'), null)
  t.equal(await count(), 1)
})

await t.test('a schedule that is paused, or has no ticks, can be triggered', async (t) => {
  await addSchedule(pool, { every: null, nextIn: null })
  await pause('report', 'for a while')
  t.match(await trigger('report'), { state: 'pending' })
})

const verdicts: Array<[overlap: string, active: string[], state: string]> = [
  ...['waiting', 'pending', 'enqueued', 'running'].map((state): [string, string[], string] => ['skip', [state], 'skipped']),
  ...['done', 'dead', 'skipped', 'missed', 'cancelled'].map((state): [string, string[], string] => ['skip', [state], 'pending']),
  ['bufferOne', [], 'pending'], ['bufferOne', ['running'], 'waiting'], ['bufferOne', ['running', 'waiting'], 'skipped'],
  ['bufferAll', [], 'pending'], ['bufferAll', ['running', 'waiting'], 'waiting'],
  ['cancelOther', [], 'pending'], ['cancelOther', ['enqueued'], 'waiting'], ['cancelOther', ['pending'], 'pending'],
  ['allow', ['running', 'waiting'], 'pending']
]
for (const [overlap, active, state] of verdicts) {
  await t.test(`${overlap}: beside ${active.join(' and ') || 'nothing'} it is ${state}`, async (t) => {
    const schedule = await addSchedule(pool, { overlap })
    for (const state of active) await addRun(pool, schedule, state)
    await addRun(pool, await addSchedule(pool, { name: 'other' }), 'running')
    const run = await trigger('report')
    t.match(run, { state, isNew: true })
    const row = await runRow(pool, run?.id ?? '')
    t.match(row, { state, schedule })
    t.equal(row?.finished_at !== null, state === 'skipped')
  })
}

await t.test('cancelOther asks the others to end, and cancels what no worker has; those of other schedules go on', async (t) => {
  const [schedule, other] = [await addSchedule(pool, { overlap: 'cancelOther' }), await addSchedule(pool, { owner: 'ann', overlap: 'cancelOther' })]
  const ids = await Promise.all(['waiting', 'pending', 'enqueued', 'running', 'done'].map((state) => addRun(pool, schedule, state)))
  ids.push(await addRun(pool, other, 'running'))
  await trigger('report')
  const rows = await Promise.all(ids.map((id) => runRow(pool, id)))
  t.strictSame(rows.map((row) => row?.state), ['cancelled', 'cancelled', 'enqueued', 'running', 'done', 'running'])
  t.strictSame(rows.map((row) => row?.cancel_requested), [true, true, true, true, false, false])
  t.strictSame(rows.map((row) => row?.finished_at !== null), [true, true, false, false, false, false])
})

await t.test('twenty at once: with skip one runs and the others are told that theirs do not', async (t) => {
  await addSchedule(pool)
  const all = await Promise.all(Array.from({ length: 20 }, () => trigger('report')))
  t.strictSame(all.map((run) => run?.state).sort(), ['pending', ...Array.from({ length: 19 }, () => 'skipped')])
  t.equal(await count(), 20)
})

await t.test('a request id is one run, at the same time and later, and cancels others once', async (t) => {
  const schedule = await addSchedule(pool, { overlap: 'cancelOther' })
  await addRun(pool, schedule, 'running')
  const all = await Promise.all(Array.from({ length: 10 }, () => trigger('report', { requestId: 'one' })))
  t.equal(new Set(all.map((run) => run?.id)).size, 1)
  t.equal(all.filter((run) => run?.isNew).length, 1)
  const { id = '' } = all[0] ?? {}
  t.match(await runRow(pool, id), { state: 'waiting', request_id: 'one', cancel_requested: false })
  await pool.query("UPDATE scheduler_runs SET state = 'done' WHERE id = $1", [id])
  t.strictSame(await trigger('report', { requestId: 'one' }), { id, state: 'done', isNew: false })
  t.equal(await count(), 2)
})

await t.test('a request id of something else is refused, and nothing is cancelled', async (t) => {
  const schedule = await addSchedule(pool, { overlap: 'cancelOther' })
  const running = await addRun(pool, schedule, 'running')
  await addSchedule(pool, { owner: 'ann' })
  await trigger('report', { owner: 'ann', requestId: 'hers' })
  const client = await begin(t, pool)
  const refused = { code: 'FST_SCHEDULER_REQUEST_ID_REUSED', statusCode: 422 }
  await t.rejects(trigger('report', { requestId: 'hers' }), refused)
  await enqueue(client, { name: 'report', requestId: 'taken meanwhile' })
  const late = trigger('report', { requestId: 'taken meanwhile' })
  late.catch(() => { /* looked at below */ })
  await until('it waits for that transaction', () => isOneWaiting(pool))
  await client.query('COMMIT')
  await t.rejects(late, refused)
  t.match(await runRow(pool, running), { state: 'running', cancel_requested: false })
})

await t.test('a wrong option is told', async (t) => {
  await addSchedule(pool)
  for (const options of [{ requestId: '' }, { owner: 1 }, { payloads: 1 }, { payload: 'a\0b' }]) await t.rejects(trigger('report', options as unknown as TriggerOptions), { code: 'FST_SCHEDULER_OPTION_INVALID' })
  t.equal(await count(), 0)
})
