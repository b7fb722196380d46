import { setTimeout as delay } from 'node:timers/promises'
import { Cluster } from 'ioredis'
import t from 'tap'
import type { Test } from 'tap'
import { gate, until } from '../../helper.js'
import { ownCluster, ownRedis, withRedis } from '../../own-servers.js'
import type { OwnServer } from '../../own-servers.js'
import { countOf, insertRun, insertRuns, ownPool, reach, runOf, setUp } from './helper.js'

/** Jobs that note what ran, and one that goes on until `held` opens. */
function noted () {
  const [ran, held] = [[] as string[], gate()]
  return { ran, held, jobs: { job: { handler: ({ id }: { id: string }) => { ran.push(id) } }, hold: { handler: () => held.opened } } }
}

/** As they are by default. */
const ticker = { tick: 1_000, offset: 50, checkEvery: 3_000 }

/** Two processes that have one run each, `held`, and so many runs that wait in Redis because nobody is free. */
async function waitingIn (t: Test, server: OwnServer, count: number) {
  const { pool, node } = await setUp(t, { redisUrl: server.url })
  const { ran, held, jobs } = noted()
  const nodes = [await node({ jobs, ticker, executor: { concurrency: 1 } }), await node({ jobs, ticker, executor: { concurrency: 1 } })]
  const running = [await insertRun(pool, { name: 'hold' }), await insertRun(pool, { name: 'hold' })]
  for (const id of running) await reach(pool, id, 'running')
  await insertRuns(pool, count)
  await Promise.all(nodes.map(({ relay }) => relay.relay(count)))
  t.equal(await countOf(pool, 'enqueued'), count, 'they wait in Redis')
  return { pool, ran, held, running }
}

await t.test('after FLUSHALL runs go on within 10 s, each once', async (t) => {
  const server = await ownRedis(t)
  const { pool, ran, held, running } = await waitingIn(t, server, 200)
  await withRedis(server, (redis) => redis.flushall())
  held.open()
  await until('all are done', async () => await countOf(pool, 'done') === 202)
  t.equal(new Set(ran).size, 200)
  t.equal(ran.length, 200)
  for (const id of running) t.match(await runOf(pool, id), { starts: 1 })
})

await t.test('when Redis was killed and is back, runs go on within 10 s, each once', async (t) => {
  const server = await ownRedis(t)
  const { pool, ran, held, running } = await waitingIn(t, server, 100)
  await server.kill()
  await insertRuns(pool, 100)
  held.open()
  for (const id of running) t.match(await reach(pool, id, 'done'), { starts: 1 }, 'what runs ends without Redis')
  await server.start()
  await until('all are done', async () => await countOf(pool, 'done') === 202)
  t.equal(ran.length, 200)
  t.equal(new Set(ran).size, 200)
})

/** Scripts that a Redis was asked to run in so many ms, answered or refused. */
async function scriptsWithin (server: OwnServer, ms: number): Promise<number> {
  return await withRedis(server, async (redis) => {
    await redis.config('RESETSTAT')
    await delay(ms) // that nothing happens can only be seen by waiting
    const stats = await redis.info('commandstats')
    return [...stats.matchAll(/^cmdstat_eval(?:sha)?:calls=(\d+)/gm)].reduce((sum, [, calls]) => sum + Number(calls), 0)
  })
}

await t.test('with Redis full nothing is lost, and runs go on when there is room', async (t) => {
  const server = await ownRedis(t)
  const { pool, node } = await setUp(t, { redisUrl: server.url })
  const { relay } = await node({ jobs: { job: { handler: () => {} } }, relay: { repairAfter: 500 } })
  await reach(pool, await insertRun(pool), 'done')
  await withRedis(server, (redis) => redis.config('SET', 'maxmemory', '1'))
  await insertRuns(pool, 20)
  await t.rejects(relay.relay(100), { message: /OOM/ })
  const asked = await scriptsWithin(server, 1_000)
  t.ok(asked < 50, `its workers do not spin: they asked ${asked} times in 1 s`)
  t.equal(await countOf(pool, 'done'), 1)
  await withRedis(server, (redis) => redis.config('SET', 'maxmemory', '0'))
  await until('all are done', async () => await countOf(pool, 'done') === 21)
})

await t.test('with Postgres away no run is lost or runs twice', async (t) => {
  const { server, pool } = await ownPool(t)
  const { node } = await setUp(t, { pool })
  const ran: string[] = []
  const held = gate()
  const jobs = { job: { handler: ({ id }: { id: string }) => { ran.push(id) } }, hold: { handler: ({ id }: { id: string }) => { ran.push(id); return held.opened } } }
  for (const name of ['one', 'two']) await node({ name, jobs, executor: { lease: 20_000 }, relay: { repairAfter: 1_000 } })
  const running = await insertRun(pool, { name: 'hold' })
  await reach(pool, running, 'running')
  await server.kill()
  held.open() // its end cannot be written now
  await server.start()
  await until('Postgres is back', () => insertRuns(pool, 50).then(() => true, () => false))
  await until('all are done', async () => await countOf(pool, 'done') >= 51)
  t.equal(new Set(ran).size, ran.length)
  t.match(await runOf(pool, running), { state: 'done', starts: 1 })
})

await t.test('a run whose lease could not be extended is told so when it is past', async (t) => {
  const { server, pool } = await ownPool(t)
  const { node } = await setUp(t, { pool })
  let signal: AbortSignal | undefined
  const { executor } = await node({ jobs: { job: { handler: async (run) => { signal = run.signal; await new Promise<void>((resolve) => { run.signal.addEventListener('abort', () => { resolve() }, { once: true }) }) } } }, executor: { lease: 900 } })
  await reach(pool, await insertRun(pool), 'running')
  await server.kill()
  await until('the signal aborts', () => signal?.aborted)
  t.match(signal?.reason, { code: 'FST_SCHEDULER_RUN_LOST' })
  await until('it has ended', () => executor.running() === 0)
})

await t.test('a Redis Cluster, and one that was away for a while', async (t) => {
  const { port, masters } = await ownCluster(t, 2)
  const redis = new Cluster([{ host: '127.0.0.1', port }])
  redis.on('error', () => {})
  const { pool, node } = await setUp(t)
  const { ran, held, jobs } = noted()
  await node({ redis, jobs, executor: { concurrency: 1 }, relay: { repairAfter: 1_000 } })
  await insertRuns(pool, 50)
  await until('all are done', async () => await countOf(pool, 'done') === 50)
  await reach(pool, await insertRun(pool, { name: 'hold' }), 'running')
  await insertRuns(pool, 10)
  await until('they wait in Redis', async () => await countOf(pool, 'enqueued') === 10)
  for (const { kill } of masters) await kill()
  await insertRuns(pool, 10)
  for (const { start } of masters) await start()
  held.open()
  await until('all are done', async () => await countOf(pool, 'done') === 71, 20_000)
  t.equal(ran.length, 70)
  t.equal(new Set(ran).size, 70)
})
