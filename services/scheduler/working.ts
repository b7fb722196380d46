import type { Pool } from 'pg'
import type { Claiming } from './claiming.js'
import { createExecutor } from './executor.js'
import type { Jobs } from './jobs.js'
import { createLedger } from './ledger.js'
import type { Observer } from './observer.js'
import { openQueue, runsQueue } from './queues.js'
import type { QueueDeps } from './queues.js'
import { createRelay } from './relay.js'
import { createTicker } from './ticker.js'
import { withinTime } from '../within-time.js'

/** Schedules of one claim, and runs of one relay. */
const batch = 1_000
/** Runs that one tick deletes: more than a cluster can begin in a second. */
const pruned = 10_000

/** A tick that finds fewer has done: what comes due one by one would keep it going for ever. */
const worthwhile = 100
/** A tick with more to do lets others be repaired meanwhile, ms. The next one goes on. */
const longestTick = 10_000

/** A running ticker may take so long to stop, ms: its statements end by themselves. */
const tickEnd = 2_000

export interface WorkingDeps extends QueueDeps {
  pool: Pool
  observer: Observer
  /** ms */
  tick: number
  concurrency: number
  /** ms */
  lease: number
  /** How long runs that have ended are kept, ms. */
  retention: number
  jobs: Jobs
  claiming: Claiming
  /** What this process is called in the ledger. */
  worker: string
}

export interface Working {
  stop: (deadline: number) => Promise<boolean>
}

/** What a worker does: it takes its turn at the ticks of the cluster, and runs jobs. */
export async function openWorking (deps: WorkingDeps): Promise<Working> {
  const { pool, log, jobs, claiming, redis, prefix, tick, retention } = deps
  const ledger = createLedger(pool)
  const runs = await openQueue(runsQueue, { redis, prefix, log })
  const relay = createRelay({ ...runs, pool, log })
  const executor = createExecutor({ ...deps, jobOf: jobs.of, onPending: relay.wake })
  const ticker = await createTicker({ redis, prefix, log, tick, onTick })

  async function onTick (signal: AbortSignal): Promise<void> {
    const end = performance.now() + longestTick
    while (await claim() + await relay.relay(batch) >= worthwhile && !signal.aborted && performance.now() < end);
    await relay.repair()
    await ledger.prune(retention, pruned)
  }
  /** One that fails keeps nothing else from being done. */
  async function claim (): Promise<number> {
    try {
      return await claiming.claim(batch)
    } catch (err) {
      log.error({ err }, 'schedules could not be claimed: again with the next tick')
      return 0
    }
  }
  executor.start()
  ticker.start()
  return {
    async stop (deadline) {
      const end = performance.now() + deadline
      const [, isDrained] = await Promise.all([ticker.stop(Math.min(tickEnd, deadline)), executor.stop(deadline)])
      await withinTime(relay.close(), Math.max(0, Math.min(tickEnd, end - performance.now())))
      await runs.close()
      return isDrained
    }
  }
}
