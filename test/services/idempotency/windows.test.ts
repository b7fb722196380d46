import t from 'tap'
import { createAdaptiveWindow, createFixedWindow } from '../../../services/idempotency/windows.js'
import { handClock } from './begin.js'

await t.test('a fixed window is the same for all', async (t) => {
  const { of } = createFixedWindow(100)
  t.same([of('1', 'a'), of('1', 'a'), of('2', 'b')], [100, 100, 100])
})

await t.test('an adaptive window begins at its minimum, and grows at once with the gap that was seen', async (t) => {
  const { now, skip } = handClock()
  const { of } = createAdaptiveWindow({ min: 50, max: 1_000, now })
  t.equal(of('1', 'a'), 50)
  skip(200)
  t.equal(of('1', 'a'), 300)
  t.equal(of('1', 'b'), 300, 'for all that this principal does')
  t.equal(of('2', 'a of 2'), 50, 'and for nobody else')
})

await t.test('it shrinks slowly towards shorter gaps, never below its minimum', async (t) => {
  const { now, skip } = handClock()
  const { of } = createAdaptiveWindow({ min: 50, max: 1_000, now })
  of('1', 'a')
  skip(400)
  const seen = [of('1', 'a')]
  for (let fire = 0; fire < 60; fire++) {
    skip(10)
    seen.push(of('1', 'a'))
  }
  t.equal(seen[0], 600)
  t.equal(seen[1], 490)
  t.ok(seen.every((window, index) => index === 0 || window <= (seen[index - 1] ?? 0)))
  const last = seen.at(-1) ?? 0
  t.ok(last >= 50 && last < 55, `${last} ms`)
})

await t.test('it never grows beyond its maximum, and a gap longer than that is no double fire', async (t) => {
  const { now, skip } = handClock()
  const { of } = createAdaptiveWindow({ min: 50, max: 300, now })
  of('1', 'a')
  skip(301)
  t.equal(of('1', 'a'), 50)
  skip(299)
  t.equal(of('1', 'a'), 300)
})
