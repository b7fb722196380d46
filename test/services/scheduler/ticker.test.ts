import { setTimeout as delay } from 'node:timers/promises'
import { Queue } from 'bullmq'
import t from 'tap'
import { keysOf, tickQueue } from '../../../services/scheduler/queues.js'
import { createTicker } from '../../../services/scheduler/ticker.js'
import type { Ticker, TickerDeps } from '../../../services/scheduler/ticker.js'
import { silentLog } from '../../../services/log.js'
import type { Redis } from 'ioredis'
import type { Test } from 'tap'
import { gate, testPrefix, testRedis, until } from '../../helper.js'
import { jobsOf, millisecondsOf } from './ticks.js'

interface Cluster {
  prefix: string
  redis: Redis
  queue: Queue
  /** When ticks came, by the wall clock, ms. */
  ticks: number[]
  ticker: (options?: Partial<TickerDeps>) => Promise<Ticker>
}

async function cluster (t: Test): Promise<Cluster> {
  const redis = testRedis(t)
  const prefix = testPrefix()
  const queue = new Queue(tickQueue, { connection: redis, prefix: keysOf(prefix) })
  t.teardown(() => queue.close())
  const ticks: number[] = []
  return {
    prefix,
    redis,
    queue,
    ticks,
    async ticker (options = {}) {
      const ticker = await createTicker({ redis, prefix, log: silentLog, onTick: async () => { ticks.push(Date.now()) }, tick: 500, offset: 50, ...options })
      t.teardown(() => ticker.stop(1_000))
      return ticker
    }
  }
}

await t.test('eight processes that start at once set up one ticker, and each tick comes once, a little after its second', async (t) => {
  const { prefix, redis, ticks, ticker } = await cluster(t)
  const tickers = await Promise.all(Array.from({ length: 8 }, () => ticker({ tick: 1_000 })))
  const changes = await Promise.all(tickers.map(({ check }) => check()))
  t.equal(changes.filter(Boolean).length, 1)
  for (const { start } of tickers) start()
  await until('some ticks have come', () => ticks.length >= 5)
  const jobs = (await jobsOf(redis, prefix, 'active')).map(millisecondsOf)
  t.equal(new Set(jobs).size, jobs.length)
  t.ok(jobs.every((at, index) => at === (jobs[0] ?? 0) + index * 1_000), `none is left out: ${jobs.join()}`)
  t.ok(jobs.every((at) => at % 1_000 === 50))
})

await t.test('looking after the ticker at the very tick replaces none, and loses none', async (t) => {
  const { prefix, redis, ticks, ticker } = await cluster(t)
  const [tick, offset] = [200, 20]
  const tickers = await Promise.all([ticker({ tick, offset }), ticker({ tick, offset }), ticker({ tick, offset })])
  for (const { start } of tickers) start()
  await until('it ticks', () => ticks.length > 0)
  while (ticks.length < 15) {
    const next = Math.ceil((Date.now() - offset) / tick) * tick + offset
    await delay(next + (Math.random() * 2 - 1) * 5 - Date.now()) // the moment of the tick is the subject
    await Promise.all(tickers.map(({ check }) => check()))
  }
  const added = await jobsOf(redis, prefix, 'added')
  t.equal(new Set(added).size, added.length, 'each was added once: to set up anew what is right is to take the next tick away, and to hope that it is put back')
  const jobs = (await jobsOf(redis, prefix, 'active')).map(millisecondsOf)
  t.ok(jobs.every((at, index) => at === (jobs[0] ?? 0) + index * tick), `each came once: ${jobs.join()}`)
})

await t.test('a next tick that a process with a fast clock has written, which died, is set anew', async (t) => {
  const { queue, ticks, ticker } = await cluster(t)
  const own = await ticker()
  await queue.upsertJobScheduler('tick', { every: 500, offset: 50, startDate: Date.now() + 3_600_000 }, { name: 'tick' })
  t.ok(((await queue.getJobScheduler('tick'))?.next ?? 0) > Date.now() + 3_000_000)
  t.equal(await own.check(), true)
  t.equal(await own.check(), false)
  own.start()
  await until('it ticks', () => ticks.length >= 3)
  t.equal(await queue.getDelayedCount(), 1)
})

await t.test('a process that starts when a tick is overdue does not delete it', async (t) => {
  const { prefix, redis, queue, ticks, ticker } = await cluster(t)
  await (await ticker()).check()
  const [due] = await queue.getDelayed()
  await until('it is overdue', async () => Date.now() > millisecondsOf(due?.id ?? '') + 1_200)
  t.equal(await (await ticker()).check(), false)
  const late = await ticker()
  late.start()
  await until('ticks come', () => ticks.length >= 2)
  t.equal((await jobsOf(redis, prefix, 'active'))[0], due?.id)
})

await t.test('after FLUSHALL, and when the next tick was lost, the ticker is set up again', async (t) => {
  const { prefix, redis, queue, ticks, ticker } = await cluster(t)
  const { start } = await ticker({ checkEvery: 200 })
  start()
  await until('it ticks', () => ticks.length > 0)
  for (const key of await redis.keys(`${keysOf(prefix)}*`)) await redis.del(key)
  let before = ticks.length
  await until('it ticks again', () => ticks.length > before + 1)

  const [next] = await queue.getDelayed()
  await redis.zadd(`${keysOf(prefix)}:${tickQueue}:repeat`, Date.now() - 60_000, 'tick')
  if (next !== undefined) await redis.multi().zrem(`${keysOf(prefix)}:${tickQueue}:delayed`, next.id ?? '').del(`${keysOf(prefix)}:${tickQueue}:${next.id}`).exec()
  before = ticks.length
  await until('it ticks once more', () => ticks.length > before + 2)
})

await t.test('another interval takes the place of the old one', async (t) => {
  const { queue, ticks, ticker } = await cluster(t)
  const old = await ticker({ tick: 60_000 })
  await old.check()
  await old.stop(1_000)
  const { start } = await ticker({ tick: 200, offset: 20 })
  start()
  await until('it ticks', () => ticks.length > 2)
  t.match(await queue.getJobScheduler('tick'), { every: 200, offset: 20 })
})

await t.test('a tick that fails is logged, the next one comes, and no two are under way in one process', async (t) => {
  const { ticker } = await cluster(t)
  const messages: string[] = []
  let [running, most, count] = [0, 0, 0]
  const onTick = async (): Promise<void> => {
    most = Math.max(most, ++running)
    await delay(700) // longer than a tick
    running--
    if (++count === 1) throw new Error('no luck')
  }
  const { start } = await ticker({ onTick, log: { ...silentLog, error: (_fields, message) => { messages.push(message) } } })
  start()
  await until('three came', () => count >= 3)
  t.equal(most, 1)
  t.strictSame(messages, ['a tick of the scheduler failed'])
})

await t.test('the stop aborts a tick under way, and waits for it', async (t) => {
  const { ticker } = await cluster(t)
  const [begun, told, end] = [gate(), gate(), gate()]
  let ended = false
  const onTick = async (signal: AbortSignal): Promise<void> => {
    signal.addEventListener('abort', told.open, { once: true })
    begun.open()
    await end.opened
    ended = true
  }
  const { start, stop } = await ticker({ onTick })
  start()
  await begun.opened
  const stopped = stop(2_000)
  await told.opened
  end.open()
  t.equal(await stopped, true)
  t.equal(ended, true)
})
