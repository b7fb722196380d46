import t from 'tap'
import { createRetry } from '../../../services/concurrency/retry.js'
import type { RetryOptions } from '../../../services/concurrency/retry.js'
import { gate } from './helper.js'

const open = new AbortController().signal
const retry = createRetry({ closing: open, random: () => 0 })

await t.test('it runs until there is a success, and tells each run which one it is', async (t) => {
  const seen: number[] = []
  t.equal(await retry(({ attempt }) => {
    seen.push(attempt)
    if (attempt < 3) throw new Error('not yet')
    return 'done'
  }), 'done')
  t.strictSame(seen, [1, 2, 3])
})

await t.test('the failure of the last run is thrown, and one that may not be repeated at once', async (t) => {
  let runs = 0
  const fail = (): never => { throw new Error(`failure ${++runs}`) }
  await t.rejects(retry(fail, { attempts: 3 }), { message: 'failure 3' })
  await t.rejects(retry(fail, { shouldRetry: (error, attempt) => attempt < 2 || !/5/.test((error as Error).message) }), { message: 'failure 5' })
})

await t.test('delays are from 0 to a bound that doubles up to maxDelay', async (t) => {
  const bounds: number[] = []
  let asked = 0
  // The most that random() gives, measured by the timers that are set.
  const { setTimeout: original } = globalThis
  globalThis.setTimeout = ((fn: () => void, ms: number) => { bounds.push(ms); return original(fn, 0) }) as typeof setTimeout
  t.teardown(() => { globalThis.setTimeout = original })
  const full = createRetry({ closing: open, random: () => { asked++; return 1 } })
  await t.rejects(full(() => { throw new Error('never') }, { attempts: 6, minDelay: 10, maxDelay: 70 }))
  await t.rejects(createRetry({ closing: open, random: () => 0.5 })(() => { throw new Error('never') }, { attempts: 2, minDelay: 10 }))
  t.strictSame(bounds, [10, 20, 40, 70, 70, 5])
  t.equal(asked, 5)
})

await t.test('a signal cuts the delay at once and begins no further run', { timeout: 5_000 }, async (t) => {
  const [aborting, failed] = [new AbortController(), gate()]
  let runs = 0
  const running = createRetry({ closing: open, random: () => 1 })(() => {
    runs++
    setImmediate(failed.open)
    throw new Error('down')
  }, { minDelay: 60_000, maxDelay: 60_000, signal: aborting.signal })
  await failed.opened
  aborting.abort(new Error('enough'))
  await t.rejects(running, { code: 'FST_CONCURRENCY_ABORTED', cause: { message: 'enough' } })
  t.equal(runs, 1)
  await t.rejects(retry(() => { runs++ }, { signal: aborting.signal }), { code: 'FST_CONCURRENCY_ABORTED' })
  t.equal(runs, 1)
})

await t.test('closing cuts the delay, leaves a run to end and begins no second one', { timeout: 5_000 }, async (t) => {
  const [closing, failed, finish] = [new AbortController(), gate(), gate()]
  const slow = createRetry({ closing: closing.signal, random: () => 1 })
  const waiting = slow(() => { setImmediate(failed.open); throw new Error('down') }, { minDelay: 60_000, maxDelay: 60_000 })
  const running = slow(() => finish.opened.then(() => 'ended'))
  await failed.opened
  closing.abort()
  await t.rejects(waiting, { code: 'FST_CONCURRENCY_CLOSED', cause: { message: 'down' } })
  t.equal(await slow(() => 'ran'), 'ran', 'of a request that was accepted')
  await t.rejects(slow(() => { throw new Error('again') }), { code: 'FST_CONCURRENCY_CLOSED', cause: { message: 'again' } })
  finish.open()
  t.equal(await running, 'ended')
})

await t.test('a signal that aborts during a run is seen by it', async (t) => {
  const aborting = new AbortController()
  await t.rejects(retry(async ({ signal }) => {
    aborting.abort(new Error('enough'))
    signal.throwIfAborted()
  }, { signal: aborting.signal, attempts: 1 }), { message: 'enough' })
})

await t.test('wrong options are refused', async (t) => {
  for (const options of [{ attempts: 0 }, { minDelay: -1 }, { maxDelay: Infinity }, { signal: 1 }, { shouldRetry: true }, { retries: 3 }]) {
    await t.rejects(retry(() => 'ran', options as RetryOptions), { code: 'FST_CONCURRENCY_OPTION_INVALID', message: /^retry: option `/ })
  }
})
