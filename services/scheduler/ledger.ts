import type { Pool } from 'pg'
import { createTransact } from '../database/transact.js'
import * as relaySql from './relay-sql.js'
import * as runSql from './run-sql.js'

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
  /** Until the second offer, ms. It doubles. */
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
  /** Whether it was still ours, and the schedule that has runs held back. */
  finish: (run: HeldRun, ending: Ending) => Promise<{ isOurs: boolean, heldBack: string | null }>
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
  const transact = createTransact(pool)
  const rowsOf = async <T extends object>(text: string, values: unknown[]): Promise<T[]> => (await pool.query<T>(text, values)).rows
  return {
    begin: async (id, { maxStarts, worker, lease }) => (await rowsOf<BegunRun>(runSql.begin, [id, maxStarts, worker, lease]))[0] ?? null,
    async release (id) { await pool.query(runSql.release, [id]) },
    refuse: async (id, { delay, maxDelay, maxOffers }) => (await rowsOf<RefusedRun>(runSql.refuse, [id, delay, maxDelay, maxOffers]))[0] ?? null,
    prune: async (age, limit) => (await rowsOf(runSql.prune, [age, limit])).length,
    async extend (runs, lease) {
      const column = <T>(of: (run: HeldRun) => T): T[] => runs.map(of)
      const rows = await rowsOf<{ fence: string, isCancelled: boolean }>(runSql.extend,
        [column(({ id }) => id), column(({ fence }) => fence), column(({ progress }) => progress?.done ?? null), column(({ progress }) => progress?.total ?? null), lease])
      return new Map(rows.map(({ fence, isCancelled }) => [fence, isCancelled]))
    },
    async finish ({ id, fence, progress }, { state, error, isFailure = false, isUncounted = false, delay = 0 }) {
      const [row] = await rowsOf<{ heldBack: string | null }>(runSql.finish,
        [id, fence, state, error, isFailure ? 1 : 0, isUncounted ? 1 : 0, delay, progress?.done ?? null, progress?.total ?? null])
      return { isOurs: row !== undefined, heldBack: row?.heldBack ?? null }
    },
    async promote (schedules) {
      let promoted = 0
      await transact(async ({ query }) => {
        await query(runSql.lockSchedules, [schedules])
        promoted = (await query(runSql.promote, [schedules])).length
        return true
      }, timeout)
      return promoted
    },
    relay: (limit) => rowsOf(relaySql.relay, [limit]),
    again: (age, limit) => rowsOf(relaySql.again, [age, limit]),
    takeBack: (limit) => rowsOf(relaySql.takeBack, [limit]),
    drop: (limit) => rowsOf(relaySql.drop, [limit]),
    heldByNothing: async (limit) => (await rowsOf<{ id: string }>(relaySql.heldByNothing, [limit])).map(({ id }) => id)
  }
}
