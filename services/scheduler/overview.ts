import type { Pool } from 'pg'
import * as sql from './overview-sql.js'

/** A tick that nobody has claimed for so long, ms, is overdue: no process ticks. */
const lateAfter = 10_000

/** The state of the whole cluster, by the tables. */
export interface Overview {
  /** How many schedules of each job are overdue. Those without are not in it. */
  overdue: () => Promise<Map<string, number>>
  /** Runs that are due and not begun. */
  queued: () => Promise<number>
}

export function createOverview (pool: Pool): Overview {
  return {
    async overdue () {
      const { rows } = await pool.query<{ name: string, count: number }>(sql.overdue, [lateAfter])
      return new Map(rows.map(({ name, count }) => [name, count]))
    },
    async queued () {
      const { rows: [row] } = await pool.query<{ count: number }>(sql.queued)
      return row?.count ?? 0
    }
  }
}
