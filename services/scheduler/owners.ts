import type { PgLike } from '../database/query.js'
import { queryOf } from '../database/query.js'
import { show } from '../options.js'
import { checkSchedule, toSchedule } from './definition.js'
import type { ScheduleDefinition, ScheduleOptions } from './definition.js'
import { upsert } from './definitions.js'
import * as sql from './owners-sql.js'
import { idRule } from './requests.js'

/** A schedule of one owner: a row, of which there may be 100,000. */
export interface OwnedSchedule extends Omit<ScheduleDefinition, 'startDelay'> {
  /** Its next tick. Null: there is none. */
  nextAt: Date | null
  pausedAt: Date | null
  pauseReason: string | null
}

/** The schedules of one owner, one for each job. */
export interface OwnerSchedules {
  /**
   * Adds it, or changes it where it differs; an equal one keeps its next tick. A tick that is due already stays when the cadence changes.
   * @returns whether it was written
   * @throws TypeError that says which option is wrong
   */
  upsert: (options: ScheduleOptions) => Promise<boolean>
  /**
   * What a worker has of it already goes on; what waits is cancelled.
   * @returns false: there was none
   */
  remove: (name: string) => Promise<boolean>
  list: () => Promise<OwnedSchedule[]>
}

export interface OwnersDeps {
  /** Stays the caller's to close; its database has the tables of the scheduler. */
  pool: PgLike
}

/** @throws TypeError for an owner that is no string of 1 to 255 characters */
export type ForOwner = (owner: string) => OwnerSchedules

export function createOwners ({ pool }: OwnersDeps): { forOwner: ForOwner } {
  const query = queryOf(pool)
  return {
    forOwner (owner) {
      if (!idRule.accepts(owner)) throw new TypeError(`an owner must be ${idRule.expected}, got ${show(owner)}`)
      return {
        async upsert (options) {
          const problem = checkSchedule(options)
          if (problem !== null) throw new TypeError(problem)
          return (await upsert(query, [{ schedule: toSchedule(options), owner, revision: 0 }])).length > 0
        },
        remove: async (name) => (await query(sql.remove, [name, owner])).length > 0,
        list: async () => await query(sql.list, [owner]) as OwnedSchedule[]
      }
    }
  }
}
