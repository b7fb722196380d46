import { test } from 'tap'
import { dueTicks } from '../../../services/scheduler/due.js'
import type { DueSchedule } from '../../../services/scheduler/due.js'

const now = Date.UTC(2026, 10, 27, 12)
const schedule: DueSchedule = {
  id: '1', name: 'x', owner: '', cron: null, every: 8_000, timezone: 'UTC', jitter: 0, overlap: 'skip', catch_up: 'latest', catch_up_window: 3_600_000, catch_up_cap: 100, next_at: now - 20_000
}
const ago = (ticks: Date[]): number[] => ticks.map((tick) => (now - tick.getTime()) / 1_000)

await test('Where a tick is on time, no late one is caught up but with `all`', async (t) => {
  const latest = dueTicks(schedule, now)
  t.same([ago(latest.run), ago(latest.missed)], [[4], [20, 12]])
  const all = dueTicks({ ...schedule, catch_up: 'all' }, now)
  t.same([ago(all.run), ago(all.missed)], [[20, 12, 4], []])
  t.same(ago([latest.next ?? new Date(NaN)]), [-4])
})

await test('The tick that was due comes first, though a changed expression does not have it', async (t) => {
  const { run, next } = dueTicks({ ...schedule, every: null, cron: '0 0 1 1 *', next_at: now - 1_500 }, now)
  t.same(ago(run), [1.5])
  t.same(next, new Date('2027-01-01T00:00Z'))
})
