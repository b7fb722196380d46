import { Redis } from 'ioredis'
import type { Cluster } from 'ioredis'
import type pg from 'pg'
import { createExecutor } from '../../../services/scheduler/executor.js'
import type { Executor, ExecutorDeps } from '../../../services/scheduler/executor.js'
import { openQueue, runsQueue } from '../../../services/scheduler/queues.js'
import { createRelay } from '../../../services/scheduler/relay.js'
import type { Relay, RelayDeps } from '../../../services/scheduler/relay.js'
import type { RunnableJob } from '../../../services/scheduler/run.js'
import { createTicker } from '../../../services/scheduler/ticker.js'
import type { Ticker, TickerDeps } from '../../../services/scheduler/ticker.js'
import type { Log } from '../../../services/log.js'
import { silentLog } from '../../../services/log.js'

export interface NodeOptions {
  pool: pg.Pool
  redisUrl: string
  /** Instead of one at `redisUrl`. */
  redis?: Cluster
  prefix: string
  name: string
  jobs: Record<string, Partial<RunnableJob> & Pick<RunnableJob, 'handler'>>
  executor?: Partial<ExecutorDeps>
  relay?: Partial<RelayDeps>
  ticker?: Partial<TickerDeps>
  log?: Log
}

/** What a process that works for the scheduler has, part by part: it claims and prunes nothing. See working.test.ts for the whole. */
export interface SchedulerNode {
  relay: Relay
  executor: Executor
  ticker: Ticker
  /** Takes ticks and runs. */
  start: () => void
  /** Whether all handlers had ended. */
  stop: (deadline?: number) => Promise<boolean>
}

const defaults: Omit<RunnableJob, 'handler'> = { timeout: null, retries: 0, backoff: { minDelay: 1, maxDelay: 1 }, maxStarts: 3, checkPayload: null }

export async function createNode ({ pool, redisUrl, prefix, name, jobs, log = silentLog, ...options }: NodeOptions): Promise<SchedulerNode> {
  const redis = options.redis ?? new Redis(redisUrl, { retryStrategy: () => 50 })
  redis.on('error', () => {}) // tests take Redis away
  const deps = { pool, redis, prefix, log }
  const { queue, connection, close } = await openQueue(runsQueue, deps)
  const relay = createRelay({ ...deps, queue, connection, ...options.relay })
  const jobOf = (job: string): RunnableJob | undefined => jobs[job] === undefined ? undefined : { ...defaults, ...jobs[job] }
  const executor = createExecutor({ ...deps, jobOf, worker: name, onPending: relay.wake, ...options.executor })
  const onTick = async (): Promise<void> => {
    await relay.repair()
    while (await relay.relay(1_000) === 1_000);
  }
  const ticker = await createTicker({ ...deps, onTick, tick: 200, offset: 20, checkEvery: 500, ...options.ticker })
  return {
    relay,
    executor,
    ticker,
    start () {
      executor.start()
      ticker.start()
    },
    async stop (deadline = 5_000) {
      await ticker.stop(deadline)
      const isDrained = await executor.stop(deadline)
      await relay.close()
      await close()
      redis.disconnect()
      return isDrained
    }
  }
}
