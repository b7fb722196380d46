import { inspect } from 'node:util'
import t from 'tap'
import { payloadCheck } from '../../../services/scheduler/payload-check.js'
import type { Run } from '../../../services/scheduler/run.js'
import { silentLog } from '../../../services/log.js'
import { keysOf, openQueue, runsQueue } from '../../../services/scheduler/queues.js'
import { gate, testRedis, until } from '../../helper.js'
import { countOf, insertRun, insertRuns, insertSchedule, reach, runOf, setUp } from './helper.js'

await t.test('each of many runs is run once by one of three executors', async (t) => {
  const { pool, prefix, node } = await setUp(t)
  const redis = testRedis(t)
  const ran: string[] = []
  const workers = new Set<string>()
  for (const name of ['one', 'two', 'three']) {
    await node({ name, jobs: { job: { handler: ({ id }) => { ran.push(id); workers.add(name) } } }, executor: { concurrency: 5 } })
  }
  await insertRuns(pool, 600)
  await until('all runs are done', async () => await countOf(pool, 'done') === 600, 20_000)
  t.equal(ran.length, 600)
  t.equal(new Set(ran).size, 600)
  t.equal(workers.size, 3)
  await until('BullMQ keeps no job', async () => (await redis.keys(`${keysOf(prefix)}:${runsQueue}:*[0-9]-[0-9]*`)).length === 0)
})

await t.test('a job that comes for a run that somebody has starts nothing, one for a run whose lease is past does', async (t) => {
  const { pool, prefix, node } = await setUp(t)
  const ran: string[] = []
  const { executor } = await node({ jobs: { job: { handler: ({ id }) => { ran.push(id) } } }, idle: true })
  const { queue, close } = await openQueue(runsQueue, { redis: testRedis(t), prefix, log: silentLog })
  t.teardown(close)
  const [taken, done, expired] = [await insertRun(pool, { state: 'running', leaseIn: 60_000 }), await insertRun(pool, { state: 'done' }), await insertRun(pool, { state: 'running', leaseIn: -1 })]
  for (const id of [taken, done, expired]) await queue.add('job', { run: id })
  executor.start()
  t.match(await reach(pool, expired, 'done'), { starts: 1 })
  t.strictSame(ran, [expired])
  t.match(await runOf(pool, taken), { state: 'running', starts: 0 })
})

await t.test('a handler gets its run', async (t) => {
  const { pool, node } = await setUp(t)
  const ended = gate()
  let got: Run | undefined
  const lines: object[] = []
  const log = { debug () {}, info: (fields: object) => { lines.push(fields) }, warn () {}, error () {} }
  await node({ jobs: { job: { handler: async (run) => { got = run; run.progress(3.7, 10); run.log.info({ x: 1 }, 'at work'); await ended.opened } } }, log, executor: { lease: 300 } })
  const id = await insertRun(pool, { payload: { a: [1] } })
  await until('the progress is in the ledger', async () => (await runOf(pool, id)).progress === 3)
  ended.open()
  const row = await reach(pool, id, 'done')
  t.match(got, { id, name: 'job', owner: '', kind: 'enqueued', attempt: 1, payload: { a: [1] }, fence: BigInt(row.fence ?? 0) })
  t.ok(got?.scheduledFor instanceof Date)
  t.match(row, { starts: 1, failures: 0, progress: 3, total: 10, error: null, leaseIn: null })
  t.match(lines.at(-1), { run: id, job: 'job', x: 1 })
})

await t.test('a failed run is repeated after a delay that doubles up to the greatest, and is dead after its retries', async (t) => {
  const { pool, node } = await setUp(t)
  const attempts: number[] = []
  await node({
    jobs: { job: { retries: 3, backoff: { minDelay: 40_000, maxDelay: 100_000 }, maxStarts: 9, handler: ({ attempt }) => { attempts.push(attempt); throw new Error('no\0 luck') } } },
    executor: { random: () => 1 }
  })
  const id = await insertRun(pool)
  for (const [index, delay] of [40_000, 80_000, 100_000].entries()) {
    const { state, dueIn } = await until('it failed', async () => { const row = await runOf(pool, id); return row.failures === index + 1 && row })
    t.equal(state, 'pending')
    t.ok(dueIn > delay - 10_000 && dueIn <= delay, `it is due in ${delay} ms: ${dueIn}`)
    await pool.query('UPDATE scheduler_runs SET due_at = now()')
  }
  t.match(await reach(pool, id, 'dead'), { starts: 4, failures: 4, error: 'Error: no luck' })
  t.strictSame(attempts, [1, 2, 3, 4])
})

await t.test('whatever is thrown is written down', async (t) => {
  const { pool, node } = await setUp(t)
  const thrown: unknown[] = [null, undefined, Object.create(null), 'x'.repeat(10_000), { code: 1 }]
  await node({ jobs: { job: { handler: ({ payload }) => { throw thrown[payload as number] } } } })
  for (const index of thrown.keys()) t.ok((await reach(pool, await insertRun(pool, { payload: index }), 'dead')).error)
})

await t.test('what is thrown where nobody expects it ends a run all the same', async (t) => {
  const { pool, node } = await setUp(t)
  const odd = Object.defineProperty(new Error('x'), 'message', { get () { throw new Error('no') } })
  const thrown: unknown[] = [odd, Object.assign(new Error('x'), { message: Symbol('x') }), { [inspect.custom] () { throw new Error('no') } }]
  const checkPayload = (payload: unknown): null => { if (payload === null) throw new RangeError('too deep'); return null }
  const { executor } = await node({ jobs: { job: { maxStarts: 2, checkPayload, handler: ({ payload }) => { throw thrown[payload as number] } } } })
  for (const index of thrown.keys()) t.match(await reach(pool, await insertRun(pool, { payload: index }), 'dead'), { error: 'what was thrown cannot be shown' })
  t.match(await reach(pool, await insertRun(pool), 'dead'), { error: 'RangeError: too deep' })
  await until('none is held', () => executor.running() === 0)
})

await t.test('a payload that does not fit is dead at once, and the handler is not called', async (t) => {
  const { pool, node } = await setUp(t)
  let calls = 0
  const checkPayload = payloadCheck({ type: 'object', required: ['to'], properties: { to: { type: 'string' } } })
  await node({ jobs: { job: { retries: 5, checkPayload, handler: () => { calls++ } } } })
  const bad = await insertRun(pool, { payload: { to: 1 } })
  const good = await insertRun(pool, { payload: { to: 'a' } })
  t.match(await reach(pool, bad, 'dead'), { starts: 1, error: 'its payload does not fit the schema: /to must be string' })
  await reach(pool, good, 'done')
  t.equal(calls, 1)
})

await t.test('a run that takes too long is told so, and stays running until it has ended', async (t) => {
  const { pool, node } = await setUp(t)
  const ended = gate()
  let signal: AbortSignal | undefined
  await node({ jobs: { job: { timeout: 100, handler: async (run) => { signal = run.signal; await ended.opened; run.signal.throwIfAborted() } } }, executor: { lease: 300 } })
  const schedule = await insertSchedule(pool)
  const id = await insertRun(pool, { schedule })
  const next = await insertRun(pool, { schedule, state: 'waiting' })
  await until('the signal aborts', () => signal?.aborted)
  t.match(signal?.reason, { code: 'FST_SCHEDULER_RUN_TIMEOUT' })
  const begin = performance.now()
  await until('more than a lease has passed', () => performance.now() - begin > 700)
  t.match(await runOf(pool, id), { state: 'running', starts: 1 }, 'the lease is extended')
  t.match(await runOf(pool, next), { state: 'waiting' }, 'the next one does not run beside it')
  ended.open()
  t.match(await reach(pool, id, 'dead'), { failures: 1, error: /longer than its timeout \(100 ms\)/ })
  t.match(await reach(pool, next, 'done'), { starts: 1 })
})

await t.test('a run that is to be cancelled is told so, and the next one of its schedule goes', async (t) => {
  const { pool, node } = await setUp(t)
  const reasons: unknown[] = []
  const handler = async ({ signal, payload }: Run): Promise<void> => {
    if (payload !== 'slow') return
    await new Promise<void>((resolve) => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
    reasons.push(signal.reason)
    throw new Error('ended early')
  }
  await node({ jobs: { job: { retries: 3, handler } }, executor: { lease: 300 } })
  const schedule = await insertSchedule(pool)
  const id = await insertRun(pool, { schedule, payload: 'slow' })
  const second = await insertRun(pool, { schedule, state: 'waiting' })
  const third = await insertRun(pool, { schedule, state: 'waiting' })
  await reach(pool, id, 'running')
  await pool.query('UPDATE scheduler_runs SET cancel_requested = true WHERE id = $1', [id])
  t.match(await reach(pool, id, 'cancelled'), { failures: 0, starts: 1 })
  t.match(reasons, [{ code: 'FST_SCHEDULER_RUN_CANCELLED' }])
  await reach(pool, second, 'done')
  await reach(pool, third, 'done')
})

await t.test('what was cancelled before it started never starts', async (t) => {
  const { pool, node } = await setUp(t)
  let calls = 0
  const working = await node({ jobs: { job: { handler: () => { calls++ } } }, idle: true })
  const enqueued = await insertRun(pool)
  await working.relay.relay(10)
  await pool.query('UPDATE scheduler_runs SET cancel_requested = true')
  const later = await insertRun(pool, { dueIn: 3_600_000, isCancelled: true })
  working.start()
  await reach(pool, enqueued, 'cancelled')
  await reach(pool, later, 'cancelled')
  t.equal(calls, 0)
})
