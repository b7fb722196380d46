import t from 'tap'
import { silentLog } from '../../../services/log.js'
import { runsQueue } from '../../../services/scheduler/queues.js'
import type { Run } from '../../../services/scheduler/run.js'
import { fairNow } from '../../fair-clock.js'
import { gate, until } from '../../helper.js'
import { ownRedis, withRedis } from '../../own-servers.js'
import { countOf, insertRun, insertSchedule, ownPool, reach, runOf, setUp } from './helper.js'

/** Ends when it is asked to. */
async function obedient ({ signal }: Run): Promise<void> {
  await new Promise<void>((resolve) => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
  signal.throwIfAborted()
}

await t.test('a run that the stop interrupts goes back at once, uncounted, and another process runs it', async (t) => {
  const { pool, node } = await setUp(t)
  const one = await node({ name: 'one', jobs: { job: { handler: obedient } } })
  const id = await insertRun(pool)
  await reach(pool, id, 'running')
  const begin = performance.now()
  t.equal(await one.executor.stop(2_000), true)
  const took = performance.now() - begin
  t.ok(took > 400 && took < 2_000, `first it was let go on: ${took} ms`)
  const row = await runOf(pool, id)
  t.match(row, { state: /pending|enqueued/, starts: 0, failures: 0, error: null })
  t.ok(row.dueIn <= 0)
  await node({ name: 'two', jobs: { job: { handler: () => {} } } })
  t.match(await reach(pool, id, 'done'), { worker: 'two', starts: 1, failures: 0 })
})

await t.test('a run that ends in time is done', async (t) => {
  const { pool, node } = await setUp(t)
  const ended = gate()
  const { executor } = await node({ jobs: { job: { handler: () => ended.opened } } })
  const id = await insertRun(pool)
  await reach(pool, id, 'running')
  const stopped = executor.stop(5_000)
  ended.open()
  t.equal(await stopped, true)
  t.match(await runOf(pool, id), { state: 'done', starts: 1 })
})

await t.test('a run that fails during the stop has not failed: what it needs may be gone here, and another process repeats it', async (t) => {
  const { pool, node } = await setUp(t)
  const stopping = gate()
  const { executor } = await node({ name: 'one', jobs: { job: { handler: async () => { await stopping.opened; throw new Error('no lock is granted any more') } } } })
  const id = await insertRun(pool)
  await reach(pool, id, 'running')
  const stopped = executor.stop(5_000)
  stopping.open()
  t.equal(await stopped, true)
  t.match(await runOf(pool, id), { state: /pending|enqueued/, starts: 0, failures: 0, error: 'Error: no lock is granted any more' })
  await node({ name: 'two', jobs: { job: { handler: () => {} } } })
  t.match(await reach(pool, id, 'done'), { worker: 'two', starts: 1 })
})

await t.test('a handler that does not listen holds no stop up; its run waits for the end of the lease, and cannot end any more', async (t) => {
  const { pool, node } = await setUp(t)
  const ended = gate()
  let finished = 0
  const { executor } = await node({ jobs: { job: { handler: async () => { await ended.opened; finished++ } } }, executor: { lease: 20_000 } })
  const schedule = await insertSchedule(pool)
  const id = await insertRun(pool, { schedule })
  const next = await insertRun(pool, { schedule, state: 'waiting' })
  await reach(pool, id, 'running')
  const begin = fairNow()
  t.equal(await executor.stop(1_000), false)
  t.ok(fairNow() - begin < 1_200)
  const row = await runOf(pool, id)
  t.match(row, { state: 'pending', starts: 0, failures: 0 })
  t.ok(row.dueIn > 10_000 && row.dueIn <= 20_000, `nobody starts it while it may still run: ${row.dueIn} ms`)
  ended.open()
  await until('it has ended', () => finished === 1 && executor.running() === 0)
  t.match(await runOf(pool, id), { state: 'pending' })
  t.match(await runOf(pool, next), { state: 'waiting' })
})

await t.test('a job that comes while the executor stops is put back', async (t) => {
  const { pool, node } = await setUp(t)
  const ended = gate()
  let calls = 0
  const { executor, relay } = await node({ jobs: { job: { handler: async () => { calls++; await ended.opened } } }, executor: { concurrency: 50 }, idle: true })
  executor.start() // a tick would relay the others before the stop
  const first = await insertRun(pool)
  await relay.relay(1)
  await reach(pool, first, 'running')
  const late = await Promise.all(Array.from({ length: 20 }, () => insertRun(pool)))
  const [stopped] = [executor.stop(5_000), await relay.relay(100)]
  ended.open()
  t.equal(await stopped, true)
  const rows = await Promise.all(late.map((id) => runOf(pool, id)))
  t.match(rows, late.map(() => ({ state: /pending|enqueued/, starts: 0 })))
  t.equal(calls, 1)
})

await t.test('a stop ends in time with Redis down, with a run under way and without', async (t) => {
  const server = await ownRedis(t)
  const { pool, node } = await setUp(t, { redisUrl: server.url })
  const busy = await node({ name: 'busy', jobs: { job: { handler: obedient } } })
  const free = await node({ name: 'free', jobs: {} })
  const id = await insertRun(pool)
  await until('it runs', async () => (await runOf(pool, id)).worker === 'busy')
  await server.kill()
  const begin = fairNow()
  t.strictSame(await Promise.all([busy.executor.stop(2_000), free.executor.stop(2_000), busy.ticker.stop(2_000), free.ticker.stop(2_000)]).then(([first, second]) => [first, second]), [true, true])
  t.ok(fairNow() - begin < 2_500)
  t.match(await runOf(pool, id), { state: /pending|enqueued/, starts: 0, failures: 0 })
})

await t.test('a stop that begins while a worker rests, because Redis refused a command, begins nothing any more', async (t) => {
  const server = await ownRedis(t)
  const { pool, node } = await setUp(t, { redisUrl: server.url })
  const [first, last] = [gate(), gate()]
  let isRefused = false
  const warn = (fields: { queue?: string, err?: Error }): void => { isRefused ||= fields.queue === runsQueue && /READONLY/.test(fields.err?.message ?? '') }
  const one = await node({ jobs: { first: { handler: () => first.opened }, last: { handler: () => last.opened } }, executor: { concurrency: 2 }, log: { ...silentLog, warn }, idle: true })
  one.executor.start() // the ticker is not
  const running = [await insertRun(pool, { name: 'first' }), await insertRun(pool, { name: 'last' })]
  await one.relay.relay(10)
  for (const id of running) await reach(pool, id, 'running')
  const next = await Promise.all(Array.from({ length: 5 }, () => insertRun(pool)))
  await one.relay.relay(10)
  await withRedis(server, (redis) => redis.replicaof('127.0.0.1', 1)) // it refuses to write
  first.open()
  await until('its worker was refused', () => isRefused)
  const [begin, real] = [fairNow(), performance.now()]
  const stopped = one.executor.stop(5_000)
  await withRedis(server, (redis) => redis.replicaof('NO', 'ONE'))
  await until('the rest would be over', () => performance.now() - real > 1_200)
  last.open()
  t.equal(await stopped, true)
  t.ok(fairNow() - begin < 3_500, 'when the last run has ended, so has the stop')
  t.match(await Promise.all(running.map((id) => runOf(pool, id))), [{ state: 'done' }, { state: 'done' }])
  t.equal(await countOf(pool, 'enqueued'), 5, 'it has fetched none')
  await node({ name: 'two', jobs: { job: { handler: () => {} } } })
  for (const id of next) t.match(await reach(pool, id, 'done'), { worker: 'two', starts: 1, failures: 0 })
})

await t.test('a stop ends in time when Redis never was there', async (t) => {
  const server = await ownRedis(t)
  await server.kill()
  const { node } = await setUp(t, { redisUrl: server.url })
  const { executor, ticker } = await node({ jobs: {} })
  const begin = fairNow()
  await Promise.all([executor.stop(1_000), ticker.stop(1_000)])
  t.ok(fairNow() - begin < 1_500)
})

await t.test('a stop ends in time with Postgres away; the run is taken back once its lease is past', async (t) => {
  const { server, pool } = await ownPool(t)
  const { node } = await setUp(t, { pool })
  let failures = 0
  const log = { ...silentLog, error: (_fields: object, message?: string) => { if (message?.startsWith('the end of a run could not be written')) failures++ } }
  const { executor, relay } = await node({ jobs: { job: { handler: obedient } }, executor: { lease: 4_000 }, log })
  const id = await insertRun(pool)
  await reach(pool, id, 'running')
  await server.kill()
  const begin = fairNow()
  await executor.stop(1_500)
  t.ok(fairNow() - begin < 1_700)
  await until('its end is not tried any more', () => executor.running() === 0, 1_500)
  t.equal(failures, 1)
  await server.start()
  await until('it is pending', async () => { await relay.repair(); return (await runOf(pool, id)).state !== 'running' })
})
