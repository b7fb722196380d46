import { test } from 'tap'
import { cronProblem, isTimezone, jitterOf, parseExpression } from '../../../services/scheduler/expression.js'
import type { Expression } from '../../../services/scheduler/expression.js'

const at = (iso: string): Date => new Date(iso)
const iso = (dates: Date[]): string[] => dates.map((date) => date.toISOString().replace(':00.000Z', 'Z'))
const ticks = (cron: string, timezone: string, after: string, count: number): string[] => iso(first(parseExpression({ cron, timezone }), at(after), count))
/** The first ones after that. */
function first ({ next }: Expression, after: Date, count: number): Date[] {
  const found: Date[] = []
  for (let tick = next(after); tick !== null && found.length < count; tick = next(tick)) found.push(tick)
  return found
}
/** The same ones, looked for from their end. */
const backwards = (cron: string, timezone: string, after: string, until: string): string[] =>
  iso(parseExpression({ cron, timezone }).latest(at(after), at(until), 100))

await test('A local time that does not exist ticks once, at the first instant after the gap', async (t) => {
  const gaps = [
    { zone: 'America/New_York', cron: '30 2 * * *', after: '2026-03-07T12:00Z', expected: ['2026-03-08T07:00Z', '2026-03-09T06:30Z'] },
    { zone: 'Europe/Berlin', cron: '30 2 * * *', after: '2026-03-28T12:00Z', expected: ['2026-03-29T01:00Z', '2026-03-30T00:30Z'] },
    { zone: 'Australia/Lord_Howe', cron: '15 2 * * *', after: '2026-10-03T00:00Z', expected: ['2026-10-03T15:30Z', '2026-10-04T15:15Z'] },
    { zone: 'Africa/Cairo', cron: '30 0 * * *', after: '2026-04-23T12:00Z', expected: ['2026-04-23T22:00Z', '2026-04-24T21:30Z'] },
    { zone: 'America/Santiago', cron: '30 0 * * *', after: '2026-09-05T12:00Z', expected: ['2026-09-06T04:00Z', '2026-09-07T03:30Z'] }
  ]
  for (const { zone, cron, after, expected } of gaps) {
    t.same(ticks(cron, zone, after, 2), expected, zone)
    t.same(backwards(cron, zone, after, String(expected[1])), expected, `${zone}, backwards`)
  }
  t.same(ticks('30 2,14 * * *', 'America/New_York', '2026-03-08T00:00Z', 2), ['2026-03-08T07:00Z', '2026-03-08T18:30Z'], 'a list of times too')
})

await test('A fixed local time that exists twice ticks once, the first time', async (t) => {
  const overlaps = [
    { zone: 'America/New_York', cron: '30 1 * * *', after: '2026-10-31T12:00Z', expected: ['2026-11-01T05:30Z', '2026-11-02T06:30Z'] },
    { zone: 'Europe/Berlin', cron: '30 2 * * *', after: '2026-10-24T12:00Z', expected: ['2026-10-25T00:30Z', '2026-10-26T01:30Z'] },
    { zone: 'Australia/Lord_Howe', cron: '45 1 * * *', after: '2026-04-04T00:00Z', expected: ['2026-04-04T14:45Z', '2026-04-05T15:15Z'] },
    { zone: 'Africa/Cairo', cron: '30 23 * * *', after: '2026-10-29T12:00Z', expected: ['2026-10-29T20:30Z', '2026-10-30T21:30Z'] },
    { zone: 'America/Santiago', cron: '30 23 * * *', after: '2026-04-04T12:00Z', expected: ['2026-04-05T02:30Z', '2026-04-06T03:30Z'] }
  ]
  for (const { zone, cron, after, expected } of overlaps) {
    t.same(ticks(cron, zone, after, 2), expected, zone)
    t.same(backwards(cron, zone, after, String(expected[1])), expected, `${zone}, backwards`)
  }
})

await test('A step ticks at every real half hour while the clock goes back', async (t) => {
  const overlaps = [
    { zone: 'America/New_York', after: '2026-11-01T04:30Z', expected: ['2026-11-01T05:00Z', '2026-11-01T05:30Z', '2026-11-01T06:00Z', '2026-11-01T06:30Z', '2026-11-01T07:00Z'] },
    { zone: 'Europe/Berlin', after: '2026-10-24T23:30Z', expected: ['2026-10-25T00:00Z', '2026-10-25T00:30Z', '2026-10-25T01:00Z', '2026-10-25T01:30Z', '2026-10-25T02:00Z'] },
    { zone: 'Australia/Lord_Howe', after: '2026-04-04T14:00Z', expected: ['2026-04-04T14:30Z', '2026-04-04T15:00Z', '2026-04-04T15:30Z', '2026-04-04T16:00Z'] },
    { zone: 'Africa/Cairo', after: '2026-10-29T19:30Z', expected: ['2026-10-29T20:00Z', '2026-10-29T20:30Z', '2026-10-29T21:00Z', '2026-10-29T21:30Z', '2026-10-29T22:00Z'] },
    { zone: 'America/Santiago', after: '2026-04-05T01:30Z', expected: ['2026-04-05T02:00Z', '2026-04-05T02:30Z', '2026-04-05T03:00Z', '2026-04-05T03:30Z', '2026-04-05T04:00Z'] }
  ]
  for (const { zone, after, expected } of overlaps) {
    t.same(ticks('*/30 * * * *', zone, after, expected.length), expected, zone)
    t.same(backwards('*/30 * * * *', zone, after, String(expected.at(-1))), expected, `${zone}, backwards`)
  }
})

await test('The next tick is after the instant, and asked again in its minute or second it is the same', async (t) => {
  const minutely = parseExpression({ cron: '* * * * *', timezone: 'UTC' })
  const secondly = parseExpression({ cron: '* * * * * *', timezone: 'UTC' })
  for (const expression of [minutely, secondly]) t.same(expression.next(at('2026-01-01T00:00:59.999Z')), at('2026-01-01T00:01:00Z'))
  t.same(minutely.next(at('2026-01-01T00:00:00Z')), at('2026-01-01T00:01:00Z'), 'a tick is not after itself')
  t.same(minutely.next(at('2026-01-01T00:00:30Z')), at('2026-01-01T00:01:00Z'))
  t.same(minutely.next(at('2026-01-01T00:01:00Z')), at('2026-01-01T00:02:00Z'))
  t.same(secondly.next(at('2026-01-01T00:00:00Z')), at('2026-01-01T00:00:01Z'))
  t.same(secondly.next(at('2026-01-01T00:00:00.900Z')), at('2026-01-01T00:00:01Z'))
  for (const ask of [() => minutely.next(at('2026-01-01T00:00Z')), () => minutely.latest(at('2026-01-01T00:00Z'), at('2026-01-01T00:01Z'), 1)[0]]) {
    for (let time = 0; time < 3; time++) t.same(ask()?.setTime(0) === 0 && ask(), at('2026-01-01T00:01:00Z'), 'whatever is done with the answer before')
  }
})

await test('Of a window the last ticks are found without those before them', async (t) => {
  const secondly = parseExpression({ cron: '* * * * * *', timezone: 'Europe/Berlin' })
  const [after, until] = [at('1990-01-01T00:00Z'), at('2026-01-01T00:00:02.500Z')]
  const started = performance.now()
  t.same(secondly.latest(after, until, 3), [at('2026-01-01T00:00:00Z'), at('2026-01-01T00:00:01Z'), at('2026-01-01T00:00:02Z')])
  t.same(parseExpression({ every: 1_000, timezone: 'UTC' }).latest(after, until, 2), [at('2026-01-01T00:00:01Z'), at('2026-01-01T00:00:02Z')])
  t.ok(performance.now() - started < 500, 'and not by counting a billion seconds')
  t.same(secondly.latest(at('2026-01-01T00:00:01Z'), at('2026-01-01T00:00:02Z'), 9), [at('2026-01-01T00:00:02Z')], 'after the one, up to the other')
  t.same(secondly.latest(until, until, 9), [])
  t.same(first(secondly, at('2026-01-01T00:00Z'), 2), [at('2026-01-01T00:00:01Z'), at('2026-01-01T00:00:02Z')])
})

await test('An interval goes on from its anchor', async (t) => {
  const day = 86_400_000
  const daily = parseExpression({ every: day, timezone: 'UTC', anchor: at('2026-01-01T09:00:30.250Z') })
  t.same(daily.next(at('2026-03-29T20:00:00Z')), at('2026-03-30T09:00:30.250Z'), 'to the ms, through a change of clocks')
  t.same(daily.next(at('2026-03-30T09:00:30.250Z')), at('2026-03-31T09:00:30.250Z'))
  t.same(daily.next(at('2025-01-01T00:00Z')), at('2026-01-01T09:00:30.250Z'), 'and not before it')
  t.same(daily.latest(at('2026-01-01T09:00:30.250Z'), at('2026-01-04T00:00Z'), 9), [at('2026-01-02T09:00:30.250Z'), at('2026-01-03T09:00:30.250Z')])
  t.same(daily.latest(at('2026-01-01T09:00:30.250Z'), at('2026-01-01T10:00Z'), 9), [])
})

await test('What is no cron expression is refused with its reason', async (t) => {
  const refused = ['', '* * * *', '* * * * * * *', 'H * * * *', '@daily', '60 * * * *', '*/0 * * * *', '0 0 30 2 *', '0 3 * * 8', 'a b c d e', '-5 * * * *', '1.5 * * * *', '*/61 * * * *']
  for (const cron of refused) t.type(cronProblem(cron), 'string', JSON.stringify(cron))
  t.equal(cronProblem('60 * * * *'), 'Invalid value for minute: 60')
  t.equal(cronProblem('0 0 30 2 *'), 'it never comes')
  for (const cron of ['* * * * *', '*/5 * * * * *', '0 3 * * MON-FRI', '0 0 L * *', '0 0 29 2 *', '0 0 * * MON#5']) t.equal(cronProblem(cron), null, cron)
  t.equal(cronProblem('0 0 29 2 *', at('2096-03-01T00:00Z')), null, 'eight years off')
  t.throws(() => parseExpression({ timezone: 'UTC' }), TypeError)
})

await test('A time zone is one by its IANA name', async (t) => {
  for (const zone of ['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires']) t.ok(isTimezone(zone), zone)
  for (const zone of ['Mars/Olympus', '+02:00', '', 7, null, 'Europe/Berlin ']) t.notOk(isTimezone(zone), String(zone))
})

await test('Jitter is the same for one tick, spread over ticks and schedules, and below its bound', async (t) => {
  const tick = at('2026-01-01T00:00Z')
  t.equal(jitterOf('7', tick, 60_000), jitterOf(7n, tick, 60_000))
  const jitters = Array.from({ length: 1_000 }, (_, id) => jitterOf(id, tick, 1_000))
  t.ok(jitters.every((jitter) => Number.isInteger(jitter) && jitter >= 0 && jitter < 1_000))
  const tenths = Array.from({ length: 10 }, (_, tenth) => jitters.filter((jitter) => Math.floor(jitter / 100) === tenth).length)
  t.ok(tenths.every((count) => count > 60 && count < 140), `even: ${tenths.join(' ')}`)
  t.not(jitterOf(1, tick, 1_000_000), jitterOf(1, at('2026-01-02T00:00Z'), 1_000_000))
  t.equal(jitterOf(1, tick, 0), 0)
})
