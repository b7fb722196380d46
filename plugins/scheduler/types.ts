import type { FastifyBaseLogger } from 'fastify'
import type { SchedulerJobs } from './index.js'
import type { DefinitionOptions, ScheduleOptions } from '../../services/scheduler/definition.js'
import type { Enqueued, EnqueueRequest } from '../../services/scheduler/enqueue.js'
import type { OwnerSchedules } from '../../services/scheduler/owners.js'
import type { Run } from '../../services/scheduler/run.js'
import type { Scheduler } from '../../services/scheduler/scheduler.js'
import type { Transaction } from '../../services/database/query.js'

/** Any string, until an application has declared its jobs. */
export type JobName = keyof SchedulerJobs extends never ? string : keyof SchedulerJobs
export type PayloadOf<Name> = Name extends keyof SchedulerJobs ? SchedulerJobs[Name] : unknown

/** One run, as the handler of an application gets it. */
export interface AppRun<Payload> extends Run<Payload> {
  /** Of the application, with the run and the job in each line. */
  log: FastifyBaseLogger
}

/** What names a job and may give its payload. */
interface Named<Name> {
  name: Name
  payload?: PayloadOf<Name>
}

export interface AppOwnerSchedules extends Omit<OwnerSchedules, 'upsert'> {
  /** {@inheritDoc OwnerSchedules.upsert} */
  upsert: <Name extends JobName>(options: Omit<ScheduleOptions, keyof Named<Name>> & Named<Name>) => ReturnType<OwnerSchedules['upsert']>
}

export interface AppScheduler extends Omit<Scheduler, 'define' | 'enqueue' | 'forOwner'> {
  /**
   * Declares a job and, with `cron` or `every`, when it runs: once for each tick in the whole cluster. Before the application is ready.
   *
   * @throws FST_SCHEDULER_OPTION_INVALID that names the job, FST_SCHEDULER_DUPLICATE, FST_SCHEDULER_TOO_LATE
   */
  define: <Name extends JobName>(options: Omit<DefinitionOptions, keyof Named<Name>> & Named<Name>, handler: (run: AppRun<PayloadOf<Name>>) => unknown) => void
  /**
   * Lets the job run once, after the transaction has been committed: rolled back, it never was.
   *
   * @param tx a Prisma transaction client, or a pg client in a transaction
   * @throws FST_SCHEDULER_UNKNOWN_JOB, FST_SCHEDULER_PAYLOAD_INVALID, FST_SCHEDULER_NO_TRANSACTION, FST_SCHEDULER_REQUEST_ID_REUSED
   */
  enqueue: <Name extends JobName>(tx: Transaction, name: Name, payload: PayloadOf<Name>, options?: Omit<EnqueueRequest, 'name' | 'payload'>) => Promise<Enqueued>
  forOwner: (owner: string) => AppOwnerSchedules
}
