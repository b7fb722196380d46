import t from 'tap'
import { createPool } from '../../../services/database/pool.js'
import { silentLog } from '../../../services/log.js'
import { startHeartbeat } from '../../../services/scheduler/heartbeat.js'
import type { BegunRun } from '../../../services/scheduler/ledger.js'
import { createRunning } from '../../../services/scheduler/run.js'
import { finishFree } from '../../../services/scheduler/run-sql.js'
import type { Run } from '../../../services/scheduler/run.js'
import { gate, redisUrl, until } from '../../helper.js'
import { insertRun, insertSchedule, reach, runOf, setUp } from './helper.js'
import { createNode } from './scheduling.js'

await t.test('a run that another process has is told so', async (t) => {
  const { pool, node } = await setUp(t)
  let signal: AbortSignal | undefined
  const ended = gate()
  const { executor } = await node({ jobs: { job: { retries: 1, handler: async (run) => { signal = run.signal; await ended.opened; run.signal.throwIfAborted() } } }, executor: { lease: 300 } })
  const id = await insertRun(pool)
  await reach(pool, id, 'running')
  await pool.query("UPDATE scheduler_runs SET fence = nextval('scheduler_fences'), worker = 'other', lease_until = now() + interval '1 minute'")
  await until('the signal aborts', () => signal?.aborted)
  t.match(signal?.reason, { code: 'FST_SCHEDULER_RUN_LOST' })
  ended.open()
  await until('it has ended', () => executor.running() === 0)
  t.match(await runOf(pool, id), { state: 'running', worker: 'other', failures: 0 })
})

await t.test('a run whose lease is over is told so at that moment, not a beat later', async (t) => {
  const { pool, prefix } = await setUp(t)
  const cut = createPool({ url: pool.options.connectionString ?? '', size: 2, connectTimeout: 500, queryTimeout: 500, log: silentLog })
  t.teardown(() => cut.end())
  const told: number[] = []
  const handler = async ({ id, signal }: Run): Promise<void> => {
    await new Promise<void>((resolve) => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
    const now = Date.now()
    told.push(now - Number((await pool.query<{ end: Date }>('SELECT lease_until AS end FROM scheduler_runs WHERE id = $1', [id])).rows[0]?.end))
  }
  const node = await createNode({ pool: cut, prefix, redisUrl: redisUrl(), name: 'cut', jobs: { job: { handler } }, executor: { lease: 4_000 } })
  t.teardown(() => node.stop(500))
  node.executor.start()
  const ids = [await insertRun(pool)]
  await node.relay.relay(1)
  await reach(pool, ids[0] ?? '', 'running')
  Object.assign(cut, { query: async () => { throw Object.assign(new Error('connect ETIMEDOUT'), { code: 'ETIMEDOUT' }) } }) // Postgres cannot be reached from here
  await until('it is told', () => told.length === 1)
  t.ok(Number(told[0]) < 100, `${told[0]} ms after the end of the lease`)
})

await t.test('a run whose end waits to be written keeps no other one waiting, and a stop waits for it', async (t) => {
  const { pool, node } = await setUp(t)
  const client = await pool.connect()
  t.teardown(() => { client.release(true) })
  const handler = async ({ id, payload }: Run): Promise<void> => {
    if (payload !== 'locked') return
    await client.query('BEGIN')
    await client.query('SELECT FROM scheduler_runs WHERE id = $1 FOR UPDATE', [id])
  }
  const { executor } = await node({ jobs: { job: { handler } }, executor: { concurrency: 1 } })
  const locked = await insertRun(pool, { payload: 'locked' })
  const next = await insertRun(pool)
  await reach(pool, next, 'done')
  t.match(await runOf(pool, locked), { state: 'running' })
  await until('it alone is held', () => executor.running() === 1)
  const stopped = executor.stop(20_000)
  await client.query('COMMIT')
  t.equal(await stopped, true)
  t.match(await runOf(pool, locked), { state: 'done' })
})

await t.test('an end that was written, and whose answer was lost, is no loss', async (t) => {
  const { pool, prefix } = await setUp(t)
  const own = createPool({ url: pool.options.connectionString ?? '', size: 5, log: silentLog })
  t.teardown(() => own.end())
  const query = own.query.bind(own) as (text: string, values: unknown[]) => Promise<object>
  let isLost = false
  Object.assign(own, {
    async query (text: string, values: unknown[]) {
      const answer = await query(text, values)
      if (text !== finishFree || isLost) return answer
      isLost = true
      throw new Error('Connection terminated unexpectedly')
    }
  })
  const results: string[] = []
  const node = await createNode({ pool: own, prefix, redisUrl: redisUrl(), name: 'one', jobs: { job: { handler: () => {} } }, executor: { observer: { started () {}, ended: (_run, result) => { results.push(result) } } } })
  t.teardown(() => node.stop(1_000))
  node.executor.start() // the ticker is not: nothing repairs
  const schedule = await insertSchedule(pool)
  await insertRun(pool, { schedule })
  const next = await insertRun(pool, { schedule, state: 'waiting' })
  await node.relay.relay(1)
  await until('both are told', () => results.length === 2)
  t.strictSame([isLost, ...results], [true, 'done', 'done'])
  t.match(await runOf(pool, next), { state: 'done' })
})

await t.test('each of two leases that end between two beats is over at its own end', async (t) => {
  const begin = performance.now()
  const job = { handler: () => {}, timeout: null, retries: 0, backoff: { minDelay: 1, maxDelay: 1 }, maxStarts: 1, checkPayload: null }
  const ends = [2_300, 2_700] // the beats come every 2 s
  const running = new Set(ends.map((end) => createRunning({ name: 'job' } as BegunRun, begin + end, job)))
  const told: number[] = []
  for (const { controller: { signal } } of running) signal.addEventListener('abort', () => { told.push(performance.now() - begin) })
  t.teardown(startHeartbeat({ ledger: { extend: async () => { throw new Error('Postgres is away') } }, running, lease: 30_000, log: silentLog }))
  await until('both are told', () => told.length === 2)
  t.ok(ends.every((end, index) => Number(told[index]) >= end && Number(told[index]) < end + 200), told.join(' and '))
})
