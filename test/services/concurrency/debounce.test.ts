import t from 'tap'
import { createDebounce } from '../../../services/concurrency/debounce.js'
import { createThrottle } from '../../../services/concurrency/throttle.js'
import { gate, turns } from './helper.js'

const open = new AbortController().signal
const closed = new Error('closed')

await t.test('calls within the wait become one, with the last arguments, and all get its result', async (t) => {
  const ran: number[] = []
  const save = createDebounce(open)(async (value: number) => { ran.push(value); return value }, 5)
  t.strictSame(await Promise.all([save(1), save(2), save(3)]), [3, 3, 3])
  t.strictSame(ran, [3])
  t.equal(await save(4), 4)
})

await t.test('a failure is given to all who waited, and runs once', async (t) => {
  let runs = 0
  const save = createDebounce(open)(async () => { throw new Error(`failure ${++runs}`) }, 1)
  t.match(await Promise.allSettled([save(), save()]), [{ reason: { message: 'failure 1' } }, { reason: { message: 'failure 1' } }])
})

await t.test('closing ends the debounced calls that wait, also those that came while one ran, leaves that to end and refuses later ones', { timeout: 5_000 }, async (t) => {
  const [closing, began, finish] = [new AbortController(), gate(), gate()]
  let runs = 0
  const debounce = createDebounce(closing.signal)
  const save = debounce(async () => {
    runs++
    began.open()
    await finish.opened
    return 'ended'
  }, 20)
  const running = save()
  await began.opened
  const waiting = save()
  finish.open()
  t.equal(await running, 'ended')
  closing.abort(closed)
  await t.rejects(waiting, closed)
  await t.rejects(save(), closed)
  await t.rejects(debounce(() => 'ran', 1)(), closed)
  t.equal(runs, 1)
})

await t.test('throttled calls all run, no more than the limit within an interval', async (t) => {
  const [times, interval, start] = [[] as number[], 60, performance.now()]
  const call = createThrottle(open)((value: number) => { times.push(performance.now()); return value }, interval, { limit: 2 })
  t.strictSame(await Promise.all([1, 2, 3, 4, 5].map((value) => call(value))), [1, 2, 3, 4, 5])
  // Its clock has whole milliseconds, and timers may be one early. Each call may come late, so that two of them may be closer.
  for (const [index, time] of times.entries()) t.ok(time - start >= Math.floor(index / 2) * interval - 3, `call ${index + 1} came in time`)
})

await t.test('closing ends the throttled calls that wait and refuses later ones', { timeout: 5_000 }, async (t) => {
  const closing = new AbortController()
  const throttle = createThrottle(closing.signal)
  let runs = 0
  const call = throttle(() => ++runs, 60_000)
  t.equal(await call(), 1)
  const waiting = call()
  await turns()
  closing.abort(closed)
  await t.rejects(waiting, closed)
  await t.rejects(call(), closed)
  await t.rejects(throttle(() => ++runs, 1)(), closed)
  t.equal(runs, 1)
})

await t.test('wrong options are refused', async (t) => {
  for (const wait of [0, -1, NaN, 2_147_483_648]) {
    t.throws(() => createDebounce(open)(() => 'ran', wait), { code: 'FST_CONCURRENCY_OPTION_INVALID' })
    t.throws(() => createThrottle(open)(() => 'ran', wait), { code: 'FST_CONCURRENCY_OPTION_INVALID' })
  }
  t.throws(() => createThrottle(open)(() => 'ran', 1, { limit: 0 }), { code: 'FST_CONCURRENCY_OPTION_INVALID' })
  t.throws(() => createThrottle(open)(() => 'ran', 1, { strict: true } as never), { code: 'FST_CONCURRENCY_OPTION_INVALID' })
})
