import { hostname } from 'node:os'
import type { Pool } from 'pg'
import type { Transaction } from '../database/query.js'
import { createClaiming } from './claiming.js'
import type { ClaimObserver } from './claiming.js'
import { createControl } from './control.js'
import type { Control, Ticking } from './control.js'
import { enqueue } from './enqueue.js'
import type { Enqueued, EnqueueRequest } from './enqueue.js'
import { parseExpression } from './expression.js'
import { createHistory } from './history.js'
import type { History } from './history.js'
import { createJobs } from './jobs.js'
import type { Jobs } from './jobs.js'
import type { Observer } from './observer.js'
import { createOverview } from './overview.js'
import type { Overview } from './overview.js'
import { createOwners } from './owners.js'
import type { OwnerSchedules } from './owners.js'
import { createReconciling } from './reconciling.js'
import type { ReconcilingDeps } from './reconciling.js'
import { openWorking } from './working.js'
import type { Working, WorkingDeps } from './working.js'
import { withinTime } from '../within-time.js'

export interface SchedulerDeps extends Omit<WorkingDeps, 'jobs' | 'claiming' | 'worker'>, Pick<ReconcilingDeps, 'seeEvery'> {
  observer: Observer & ClaimObserver
  /** Whether this process ticks and runs jobs. */
  isWorker: boolean
}

export interface Scheduler extends Control, History, Pick<Jobs, 'define'> {
  forOwner: (owner: string) => OwnerSchedules
  /** @throws FST_SCHEDULER_UNKNOWN_JOB, FST_SCHEDULER_PAYLOAD_INVALID, and what `enqueue` of enqueue.ts does */
  enqueue: (tx: Transaction, name: string, payload?: unknown, options?: Omit<EnqueueRequest, 'name' | 'payload'>) => Promise<Enqueued>
}

export interface OwnedScheduler {
  scheduler: Scheduler
  overview: Overview
  /** Declares what was defined. */
  start: () => Promise<void>
  /** Begins to take ticks and runs, where this process does. */
  work: () => Promise<void>
  /** Takes nothing new, and ends what runs within so many ms. Whether everything had ended. Once; later calls answer the same. */
  stop: (deadline: number) => Promise<boolean>
}

/** Schedules of a cluster: Postgres decides what runs, BullMQ runs it. */
export function createScheduler (deps: SchedulerDeps): OwnedScheduler {
  const { pool, isWorker } = deps
  const jobs = createJobs()
  const reconciling = createReconciling({ ...deps, definitions: jobs.definitions })
  let working: Promise<Working> | null = null
  let stopped: Promise<boolean> | null = null

  const stopNow = async (deadline: number): Promise<boolean> => {
    const declared = withinTime(reconciling.stop(), deadline)
    const isDrained = await (await working)?.stop(deadline) ?? true
    await declared
    return isDrained
  }
  return {
    scheduler: createCalls(pool, jobs),
    overview: createOverview(pool),
    async start () {
      jobs.close()
      await reconciling.start()
    },
    async work () {
      if (!isWorker || stopped !== null) return
      working = openWorking({ ...deps, jobs, claiming: createClaiming({ pool, observer: deps.observer }), worker: `${hostname()}:${process.pid}` })
      await working
    },
    stop: (deadline) => (stopped ??= stopNow(deadline))
  }
}

/** What applications call. */
function createCalls (pool: Pool, jobs: Jobs): Scheduler {
  const control = createControl({ pool, next: nextTick })
  return {
    ...control,
    ...createHistory({ pool }),
    ...createOwners({ pool, check: jobs.check }),
    define: jobs.define,
    async trigger (name, options = {}) {
      if (options.payload !== undefined) jobs.check(name, options.payload)
      else if ((options.owner ?? '') === '') jobs.checkOwn(name)
      return await control.trigger(name, options)
    },
    async enqueue (tx, name, payload, options = {}) {
      jobs.check(name, payload)
      return await enqueue(tx, { ...options, name, payload })
    }
  }
}

function nextTick (ticking: Ticking, after: Date): Date | null {
  return parseExpression(ticking).next(after)
}
