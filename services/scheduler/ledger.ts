import type { Pool } from 'pg'
import { createCommit } from '../database/transact.js'
import * as relaySql from './relay-sql.js'
import * as runSql from './run-sql.js'
import { createTogether } from './together.js'

export interface BegunRun {
  id: string
  name: string
  owner: string
  kind: 'tick' | 'manual' | 'enqueued'
  tick: Date
  state: 'running' | 'dead' | 'cancelled'
  payload: unknown
  starts: number
  failures: number
  fence: string
  scheduleId: string | null
  /** From the nominal instant to the start, ms, by the clock of the database. Null: it was started before, even if that was interrupted. */
  lag: number | null
  error: string | null
}

export type RefusedRun = Omit<BegunRun, 'state'> & { state: 'pending' | 'dead' }

export interface BeginOptions {
  /** Starts that are allowed, with this one. */
  maxStarts: number
  worker: string
  /** ms */
  lease: number
}

export interface RefuseOptions {
  /** Before each of the next ten offers, ms. Before each of the ten after these twice as long, and so on. */
  delay: number
  /** ms */
  maxDelay: number
  /** Then it is dead. */
  maxOffers: number
}

export interface Progress {
  done: number
  total: number | null
}

export interface HeldRun {
  id: string
  fence: string
  progress: Progress | null
}

/** What becomes of a run. */
export interface Ending {
  state: 'done' | 'pending' | 'dead' | 'cancelled'
  error: string | null
  /** Counts as a failure. Default: no. */
  isFailure?: boolean
  /** Takes back the count of its start. Default: no. */
  isUncounted?: boolean
  /** When a pending one is due, ms from now. Default: 0. */
  delay?: number
}

/** What is known of an end. */
export interface Written {
  /** False: another process may have the run. */
  isOurs: boolean
  /** Its schedule, where that has runs which are held back. */
  heldBack: string | null
}

export interface QueuedRun {
  id: string
  name: string
  enqueues: number
}

/** The table of runs, as far as they are executed. */
export interface Ledger {
  /** Null: it is not there to be started. A state other than `running` tells why it must not be. */
  begin: (id: string, options: BeginOptions) => Promise<BegunRun | null>
  /** Back to pending, due at once. */
  release: (id: string) => Promise<void>
  /** Back to pending, for a process that has the job; or dead. Null: it was not there. */
  refuse: (id: string, options: RefuseOptions) => Promise<RefusedRun | null>
  /** Of those that are still held: fence to whether it is to be cancelled. */
  extend: (runs: readonly HeldRun[], lease: number) => Promise<Map<string, boolean>>
  finish: (run: HeldRun, ending: Ending) => Promise<Written>
  /** The same of a run whose end may have been written by a `finish` that failed. */
  finished: (run: HeldRun, ending: Ending) => Promise<Written>
  /** Lets the oldest run go that is held back, where nothing of its schedule is active. How many were. */
  promote: (schedules: readonly string[]) => Promise<number>
  relay: (limit: number) => Promise<QueuedRun[]>
  again: (age: number, limit: number) => Promise<QueuedRun[]>
  takeBack: (limit: number) => Promise<Array<{ id: string, name: string, worker: string | null }>>
  drop: (limit: number) => Promise<Array<{ id: string, name: string }>>
  heldByNothing: (limit: number) => Promise<string[]>
  /** Deletes runs that ended so long ago, ms. How many. */
  prune: (age: number, limit: number) => Promise<number>
}

/** For two statements, one of which waits for a claim at most, ms. */
const timeout = 10_000

export function createLedger (pool: Pool): Ledger {
  const commit = createCommit(pool)
  const rowsOf = async <T extends object>(text: string, values: unknown[]): Promise<T[]> => (await pool.query<T>(text, values)).rows
  const begin = createTogether<Begin, BegunRun>({
    free: (begins) => rowsOf(runSql.beginFree, beginColumns(begins)),
    alone: async (begin) => (await rowsOf<BegunRun>(runSql.begin, beginColumns([begin])))[0]
  })
  const finish = createTogether<Finish, { id: string, heldBack: string | null }>({
    free: (finishes) => rowsOf(runSql.finishFree, finishColumns(finishes)),
    alone: async (finish) => (await rowsOf<{ id: string, heldBack: string | null }>(runSql.finish, finishColumns([finish])))[0]
  })
  const written = (row: Pick<Written, 'heldBack'> | undefined): Written => ({ isOurs: row !== undefined, heldBack: row?.heldBack ?? null })
  return {
    begin: async (id, options) => await begin({ id, ...options }) ?? null,
    async release (id) { await pool.query(runSql.release, [id]) },
    refuse: async (id, { delay, maxDelay, maxOffers }) => (await rowsOf<RefusedRun>(runSql.refuse, [id, delay, maxDelay, maxOffers]))[0] ?? null,
    prune: async (age, limit) => (await rowsOf(runSql.prune, [age, limit])).length,
    async extend (runs, lease) {
      const column = columnOf(runs)
      const rows = await rowsOf<{ fence: string, isCancelled: boolean }>(runSql.extend,
        [column(({ id }) => id), column(({ fence }) => fence), column(({ progress }) => progress?.done ?? null), column(({ progress }) => progress?.total ?? null), lease])
      return new Map(rows.map(({ fence, isCancelled }) => [fence, isCancelled]))
    },
    finish: async (run, ending) => written(await finish({ ...run, ...ending })),
    finished: async ({ id, fence }, { state }) => written((await rowsOf<Pick<Written, 'heldBack'>>(runSql.finished, [id, fence, state]))[0]),
    promote: async (schedules) => await commit(async (query) => {
      await query(runSql.lockSchedules, [schedules])
      return (await query(runSql.promote, [schedules])).length
    }, timeout),
    relay: (limit) => rowsOf(relaySql.relay, [limit]),
    again: (age, limit) => rowsOf(relaySql.again, [age, limit]),
    takeBack: (limit) => rowsOf(relaySql.takeBack, [limit]),
    drop: (limit) => rowsOf(relaySql.drop, [limit]),
    heldByNothing: async (limit) => (await rowsOf<{ id: string }>(relaySql.heldByNothing, [limit])).map(({ id }) => id)
  }
}

type Begin = BeginOptions & { id: string }
type Finish = HeldRun & Ending

function beginColumns (begins: readonly Begin[]): unknown[][] {
  const column = columnOf(begins)
  return [column(({ id }) => id), column(({ maxStarts }) => maxStarts), column(({ worker }) => worker), column(({ lease }) => lease)]
}

function finishColumns (finishes: readonly Finish[]): unknown[][] {
  const column = columnOf(finishes)
  return [
    column(({ id }) => id),
    column(({ fence }) => fence),
    column(({ state }) => state),
    column(({ error }) => error),
    column(({ isFailure }) => isFailure === true ? 1 : 0),
    column(({ isUncounted }) => isUncounted === true ? 1 : 0),
    column(({ delay = 0 }) => delay),
    column(({ progress }) => progress?.done ?? null),
    column(({ progress }) => progress?.total ?? null)
  ]
}

function columnOf<Item> (items: readonly Item[]) {
  return <Value>(valueOf: (item: Item) => Value): Value[] => items.map(valueOf)
}
