import { queryOf } from '../database/query.js'
import type { PgLike } from '../database/query.js'
import { between, matching } from '../options.js'
import type { Rules } from '../options.js'
import type { Pause } from './control.js'
import * as sql from './control-sql.js'
import { checkOptions, ownerRule } from './requests.js'

/** A row of the ledger. */
export interface Run {
  /** Grows with every run. */
  id: string
  kind: 'tick' | 'manual' | 'enqueued'
  /** The nominal instant, or when it was asked for. */
  tick: Date
  state: 'waiting' | 'pending' | 'enqueued' | 'running' | 'done' | 'dead' | 'skipped' | 'missed' | 'cancelled'
  payload: unknown
  /** Not before. */
  dueAt: Date
  requestId: string | null
  starts: number
  failures: number
  /** Of the last start. */
  startedAt: Date | null
  finishedAt: Date | null
  error: string | null
  progress: number | null
  total: number | null
  /** The process that had it last. */
  worker: string | null
  /** It was asked to end. */
  isCancelled: boolean
}

export interface RunsOptions {
  /** @default '': of what the application declares or enqueues */
  owner?: string
  /** @default 50 */
  limit?: number
  /** Only runs that are older than the one of this id: the last one of the page before. */
  before?: string
}

export interface ScheduleState {
  /** Of the job. */
  name: string
  owner: string
  cron: string | null
  /** ms */
  every: number | null
  timezone: string
  overlap: string
  /** Its next tick. Null: there is none. While it is paused, what it was. */
  nextAt: Date | null
  pause: Pause | null
  /** The newest one, whatever its state is. Of the job and owner: an enqueued one too. */
  lastRun: Pick<Run, 'id' | 'kind' | 'tick' | 'state' | 'startedAt' | 'finishedAt' | 'error'> | null
}

/** Both reject with FST_SCHEDULER_OPTION_INVALID for a wrong option. */
export interface History {
  /** The runs of one job and owner, newest first. */
  runs: (name: string, options?: RunsOptions) => Promise<Run[]>
  /** By name: what the application declares, or with an owner, only what that one has. */
  list: (options?: { owner?: string }) => Promise<ScheduleState[]>
}

const rules: Rules<RunsOptions> = {
  owner: ownerRule,
  limit: between(1, 1_000, 'runs'),
  before: matching(/^\d{1,18}$/, 'the id of a run')
}

export function createHistory ({ pool }: { pool: PgLike }): History {
  const query = queryOf(pool)
  return {
    async runs (name, options = {}) {
      checkOptions(options, rules)
      const { owner = '', limit = 50, before = null } = options
      return await query(sql.runs, [name, owner, before, limit]) as Run[]
    },
    async list (options = {}) {
      checkOptions(options, { owner: ownerRule })
      return (await query(sql.list, [options.owner ?? '']) as ListedRow[]).map(toState)
    }
  }
}

type LastRun = NonNullable<ScheduleState['lastRun']>

interface ListedRow extends Omit<ScheduleState, 'pause' | 'lastRun'>, Omit<LastRun, 'id'> {
  id: string | null
  pausedAt: Date | null
  pauseReason: string
  pausedBy: string | null
}

function toState ({ pausedAt: at, pauseReason: reason, pausedBy: by, id, kind, tick, state, startedAt, finishedAt, error, ...schedule }: ListedRow): ScheduleState {
  return {
    ...schedule,
    pause: at === null ? null : { at, reason, by },
    lastRun: id === null ? null : { id, kind, tick, state, startedAt, finishedAt, error }
  }
}
