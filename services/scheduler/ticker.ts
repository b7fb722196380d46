import type { Queue } from 'bullmq'
import type { Cluster, Redis } from 'ioredis'
import type { Log } from '../log.js'
import { randomToken } from '../random-token.js'
import { keysOf, openQueue, tickQueue } from './queues.js'
import type { QueueDeps } from './queues.js'
import { withinTime } from '../within-time.js'
import { createQueueWorker } from './worker.js'

export interface TickerDeps extends QueueDeps {
  /** What a tick does. Never called twice at once in a process; the signal aborts when the ticker stops. One that fails is logged, and the next one comes. */
  onTick: (signal: AbortSignal) => Promise<void>
  /**
   * ms between two ticks of the cluster. The same in all processes.
   * @default 1_000
   */
  tick?: number
  /**
   * How long after the whole second (or what divides it) a tick comes, ms: what is due at the second has come by the clock of the database then. Less than `tick`.
   * @default 50
   */
  offset?: number
  /**
   * How often this process looks whether the cluster has its ticker, ms.
   * @default 3_000
   */
  checkEvery?: number
}

export interface Ticker {
  /** Looks after the ticker of the cluster, and takes ticks. With Redis away it does so once it is there. */
  start: () => void
  /** One look, as it is made now and then. Whether there was something to set right. */
  check: () => Promise<boolean>
  /** Takes no more ticks, aborts the signal of one under way, and ends within so many ms. Whether that one had ended. */
  stop: (deadline: number) => Promise<boolean>
}

const id = 'tick'
/** One process at a time sets the ticker right, ms. */
const lockTime = 5_000
/** A next tick that is so much too late, ms, may not come any more: a process died between two steps, or Redis was full. To set up anew what still comes does no harm. */
const overdue = 3_000

/** Input: KEYS[1] the lock; ARGV[1] the token of who took it. Output: 1 when it was given back, 0 when it was not ours any more. */
const unlock = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"

/** @throws FST_SCHEDULER_KEY_PREFIX */
export async function createTicker (deps: TickerDeps): Promise<Ticker> {
  const { prefix, log, onTick, tick = 1_000, offset = 50, checkEvery = 3_000 } = deps
  const { queue, connection, close } = await openQueue(tickQueue, deps)
  const stopping = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let current = Promise.resolve()
  const worker = createQueueWorker({ ...deps, queue: tickQueue, concurrency: 1, process: () => { current = runTick(onTick, stopping.signal, log); return current } })
  const lockKey = `${keysOf(prefix)}:${tickQueue}:holdfast-lock`

  /** Compared first: an upsert that comes with a tick has lost many of them. */
  async function check (): Promise<boolean> {
    if (await isRight(queue, tick, offset)) return false
    return await withLock(connection, lockKey, async () => {
      if (await isRight(queue, tick, offset)) return false
      await queue.removeJobScheduler(id) // an upsert alone would keep a next tick that is hours ahead
      await queue.upsertJobScheduler(id, { every: tick, offset }, { name: id, opts: { removeOnComplete: true, removeOnFail: true } })
      log.info({ tick, offset }, 'the ticker of the scheduler was set up')
      return true
    })
  }
  const look = (): void => { check().catch((err: unknown) => { log.warn({ err }, 'the ticker of the scheduler could not be looked after: again soon') }) }
  return {
    check,
    start () {
      look()
      timer = setInterval(look, checkEvery).unref()
      worker.start()
    },
    async stop (deadline) {
      const end = performance.now() + deadline
      clearInterval(timer)
      worker.pause()
      stopping.abort(new Error('the scheduler stops'))
      const isEnded = await withinTime(current, deadline)
      await worker.close(Math.max(0, end - performance.now()))
      await close()
      return isEnded
    }
  }
}

async function runTick (onTick: TickerDeps['onTick'], signal: AbortSignal, log: Log): Promise<void> {
  if (signal.aborted) return // the next one comes, to another process
  try {
    await onTick(signal)
  } catch (err) {
    log.error({ err }, 'a tick of the scheduler failed')
  }
}

/** Nor is one right that comes too late: a process whose clock is ahead has written it, and may have died since. */
async function isRight (queue: Queue, tick: number, offset: number): Promise<boolean> {
  const found = await queue.getJobScheduler(id)
  return found !== undefined && found.every === tick && found.offset === offset && Math.abs((found.next ?? 0) - Date.now()) < tick + overdue
}

/** False when somebody else has it. */
async function withLock (redis: Redis | Cluster, key: string, work: () => Promise<boolean>): Promise<boolean> {
  const token = randomToken()
  if (await redis.set(key, token, 'PX', lockTime, 'NX') === null) return false
  try {
    return await work()
  } finally {
    await redis.eval(unlock, 1, key, token)
  }
}
