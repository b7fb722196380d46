import type { Pool } from 'pg'
import { withinTime } from '../within-time.js'
import * as sql from './overview-sql.js'

/** A tick that nobody has claimed for so long, ms, is overdue: no process ticks. */
const lateAfter = 10_000

/** Who reads it waits no longer, ms: Prometheus gives up after 10 s, and loses all other metrics too. */
const patience = 1_000

/** The state of the whole cluster, by the tables. Rejects when Postgres is away or does not answer soon. */
export interface Overview {
  /** How many schedules of each job are overdue. Those without are not in it. */
  overdue: () => Promise<Map<string, number>>
  /** Runs that are due and not begun. */
  queued: () => Promise<number>
}

export function createOverview (pool: Pool): Overview {
  return {
    overdue: patiently(async () => {
      const { rows } = await pool.query<{ name: string, count: number }>(sql.overdue, [lateAfter])
      return new Map(rows.map(({ name, count }) => [name, count]))
    }),
    queued: patiently(async () => {
      const { rows: [row] } = await pool.query<{ count: number }>(sql.queued)
      return row?.count ?? 0
    })
  }
}

/** Reads once at a time: where Postgres hangs that holds one connection, not one of each reader. */
function patiently<T> (read: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | null = null
  return async () => {
    const answer = asked ??= read().finally(() => { asked = null })
    if (await withinTime(answer, patience)) return await answer
    throw new Error(`Postgres did not answer within ${patience} ms`)
  }
}
