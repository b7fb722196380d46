import { createCommit } from '../database/transact.js'
import type { PoolLike } from '../database/transact.js'
import { parseExpression } from './expression.js'
import * as sql from './zones-sql.js'

/** The release of the tz database of this process, such as `2026b`: a later one is greater. */
export const tzRelease = process.versions.tz ?? ''

export interface ZonesDeps {
  /** Stays the caller's to close; its database has the tables of the scheduler. */
  pool: PoolLike
  /** @default that of this process */
  release?: string
}

export interface Zones {
  /**
   * Ticks to come that were computed with an older tz database are computed again: a government may have moved a change of clocks. Those that are due stay.
   * @returns how many schedules were looked at; ends early, between two batches, when the signal aborts
   */
  refresh: (signal: AbortSignal) => Promise<number>
}

interface OlderTick {
  id: string
  cron: string
  timezone: string
  /** Of the database, ms since the epoch. */
  now: number
}

/** Schedules of one transaction. */
const batch = 1_000
/** ms */
const timeout = 30_000

export function createZones ({ pool, release = tzRelease }: ZonesDeps): Zones {
  const commit = createCommit(pool)
  const refreshBatch = async (): Promise<number> => await commit(async (query) => {
    const older = await query(sql.lockOlder, [release, batch]) as OlderTick[]
    if (older.length > 0) await query(sql.move, [release, older.map(({ id }) => id), older.map(nextOf)])
    return older.length
  }, timeout)
  return {
    async refresh (signal) {
      let total = 0
      while (!signal.aborted) {
        const count = await refreshBatch()
        total += count
        if (count < batch) break
      }
      return total
    }
  }
}

/** ms since the epoch. Null: it cannot be read here, and stays as it is. */
function nextOf ({ cron, timezone, now }: OlderTick): number | null {
  try {
    return parseExpression({ cron, timezone }).next(new Date(now))?.getTime() ?? null
  } catch {
    return null // a zone that this process does not know: the claim says so
  }
}
