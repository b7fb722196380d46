import { Redis } from 'ioredis'
import t from 'tap'
import { silentLog } from '../../../services/log.js'
import { keysOf, openQueue, runsQueue } from '../../../services/scheduler/queues.js'
import { createRelay } from '../../../services/scheduler/relay.js'
import { fairNow } from '../../fair-clock.js'
import { redisUrl, testRedis, until } from '../../helper.js'
import { ownRedis } from '../../own-servers.js'
import { countOf, insertRun, insertRuns, insertSchedule, reach, runOf, setUp } from './helper.js'

const jobs = { job: { handler: () => {} } }
/** No executor takes what is relayed. */
const idle = { jobs, idle: true }

await t.test('what is due is relayed once, however many relay at once; what is not yet due is not', async (t) => {
  const { pool, prefix, node } = await setUp(t)
  const { relay } = await node(idle)
  const redis = testRedis(t)
  await insertRuns(pool, 500)
  const later = await insertRun(pool, { dueIn: 60_000 })
  const counts = await Promise.all(Array.from({ length: 8 }, () => relay.relay(100)))
  t.equal(counts.reduce((sum, count) => sum + count, 0), 500)
  t.equal(await countOf(pool, 'enqueued'), 500)
  t.equal(await redis.llen(`${keysOf(prefix)}:${runsQueue}:wait`), 500)
  t.match(await runOf(pool, later), { state: 'pending', enqueues: 0 })
})

await t.test('a run that Redis lost is added again, one that waits there is not doubled', async (t) => {
  const { pool, prefix, node } = await setUp(t)
  const { relay } = await node({ ...idle, relay: { repairAfter: 200 } })
  const redis = testRedis(t)
  const wait = `${keysOf(prefix)}:${runsQueue}:wait`
  const id = await insertRun(pool)
  await relay.relay(10)
  t.match(await relay.repair(), { again: 0 }, 'it is not old enough')
  await until('it is old enough', async () => (await relay.repair()).again === 1)
  t.strictSame(await redis.lrange(wait, 0, -1), [`${id}-1`])
  for (const key of await redis.keys(`${keysOf(prefix)}*`)) await redis.del(key)
  await until('it is old enough again', async () => (await relay.repair()).again === 1)
  t.strictSame(await redis.lrange(wait, 0, -1), [`${id}-1`])
})

await t.test('with a backlog a repair adds only what is not in the queue', async (t) => {
  const { pool, prefix } = await setUp(t)
  const redis = testRedis(t)
  const { queue, connection, close } = await openQueue(runsQueue, { redis, prefix, log: silentLog })
  t.teardown(close)
  const added: unknown[] = []
  const counting = { toKey: (id: string) => queue.toKey(id), addBulk: async (jobs: Parameters<typeof queue.addBulk>[0]) => { added.push(...jobs.map(({ opts }) => opts?.jobId)); return await queue.addBulk(jobs) } }
  const relay = createRelay({ pool, queue: counting, connection, log: silentLog, repairAfter: 0, batch: 10 })
  await insertRuns(pool, 30)
  for (let batches = 0; batches < 3; batches++) await relay.relay(10)
  t.equal(added.splice(0).length, 30)
  await redis.del(queue.toKey('7-1'))
  await until('all were looked for', async () => (await relay.repair()).again >= 30)
  t.strictSame(added, ['7-1'])
})

await t.test('a run whose lease is past is pending, one that lives is not', async (t) => {
  const { pool, node } = await setUp(t)
  const { relay } = await node(idle)
  const dead = await insertRun(pool, { state: 'running', leaseIn: -10 })
  const alive = await insertRun(pool, { state: 'running', leaseIn: 60_000 })
  t.match(await relay.repair(), { takenBack: 1 })
  t.match(await runOf(pool, dead), { state: 'pending', leaseIn: null })
  t.match(await runOf(pool, alive), { state: 'running' })
})

await t.test('the oldest run of a schedule that nothing holds back is let go, and only that', async (t) => {
  const { pool, node } = await setUp(t)
  const { relay } = await node(idle)
  const [free, busy] = [await insertSchedule(pool, 'free'), await insertSchedule(pool, 'busy')]
  await insertRun(pool, { schedule: busy, state: 'running', leaseIn: 60_000 })
  const held = await insertRun(pool, { schedule: busy, state: 'waiting' })
  const [first, second] = [await insertRun(pool, { schedule: free, state: 'waiting' }), await insertRun(pool, { schedule: free, state: 'waiting' })]
  t.match(await relay.repair(), { promoted: 1 })
  t.match(await relay.repair(), { promoted: 0 })
  t.match(await Promise.all([held, first, second].map((id) => runOf(pool, id))), [{ state: 'waiting' }, { state: 'pending' }, { state: 'waiting' }])
})

await t.test('with Redis away a relay fails at once, and nothing is lost', async (t) => {
  const server = await ownRedis(t)
  const { pool, node } = await setUp(t, { redisUrl: server.url })
  const working = await node({ jobs, relay: { repairAfter: 500 } })
  await reach(pool, await insertRun(pool), 'done')
  await server.kill()
  await insertRuns(pool, 50)
  const begin = fairNow()
  await t.rejects(working.relay.relay(100))
  t.ok(fairNow() - begin < 1_000)
  t.equal(await countOf(pool, 'enqueued'), 50)
  await server.start()
  await until('all runs are done', async () => await countOf(pool, 'done') === 51)
})

await t.test('a queue that was opened with Redis away works once it is there', async (t) => {
  const server = await ownRedis(t)
  await server.kill()
  const { pool } = await setUp(t)
  const redis = new Redis(server.url, { retryStrategy: () => 20 })
  redis.on('error', () => {})
  t.teardown(() => { redis.disconnect() })
  const { queue, connection, close } = await openQueue(runsQueue, { redis, prefix: 'p', log: silentLog })
  t.teardown(close)
  const { relay } = createRelay({ pool, queue, connection, log: silentLog })
  await insertRun(pool)
  await t.rejects(relay(1))
  await server.start()
  await until('it is connected', () => connection.status === 'ready')
  await insertRun(pool)
  t.equal(await relay(1), 1)
  t.equal(await queue.getWaitingCount(), 1)
})

await t.test('a client with keyPrefix is refused', async (t) => {
  const redis = new Redis(redisUrl(), { keyPrefix: 'mine:' })
  t.teardown(() => redis.quit())
  await t.rejects(openQueue(runsQueue, { redis, prefix: 'p', log: silentLog }), { code: 'FST_SCHEDULER_KEY_PREFIX', message: /got one with `mine:`/ })
})

await t.test('what waits for the end of another run is relayed without waiting for a tick', async (t) => {
  const { pool, node } = await setUp(t)
  const working = await node({ jobs, idle: true })
  working.executor.start() // the ticker is not
  const schedule = await insertSchedule(pool)
  const first = await insertRun(pool, { schedule })
  const others = [await insertRun(pool, { schedule, state: 'waiting' }), await insertRun(pool, { schedule, state: 'waiting' })]
  working.relay.wake()
  for (const id of [first, ...others]) await reach(pool, id, 'done')
})
