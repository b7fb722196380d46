import { queryOf } from '../database/query.js'
import { createCommit } from '../database/transact.js'
import type { PoolLike } from '../database/transact.js'
import { show } from '../options.js'
import { checkSchedule, toSchedule } from './definition.js'
import type { ScheduleDefinition, ScheduleOptions } from './definition.js'
import { upsert } from './definitions.js'
import * as sql from './owners-sql.js'
import { FST_SCHEDULER_OPTION_INVALID } from './request-errors.js'
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
   * @throws FST_SCHEDULER_OPTION_INVALID that says which option is wrong, FST_SCHEDULER_UNKNOWN_JOB, FST_SCHEDULER_PAYLOAD_INVALID
   */
  upsert: (options: ScheduleOptions) => Promise<boolean>
  /**
   * What a worker has of it already goes on; what waits is cancelled.
   * @returns false: there was none
   */
  remove: (name: string) => Promise<boolean>
  /** Of an owner who leaves. How many there were. */
  removeAll: () => Promise<number>
  list: () => Promise<OwnedSchedule[]>
}

export interface OwnersDeps {
  /** Stays the caller's to close; its database has the tables of the scheduler. */
  pool: PoolLike
  /** Throws where this process has no such job, or the payload does not fit it. */
  check: (name: string, payload: unknown) => void
}

/** A claim is waited for at most, ms. */
const timeout = 10_000

/** @throws FST_SCHEDULER_OPTION_INVALID for an owner that is no string of 1 to 255 characters */
export type ForOwner = (owner: string) => OwnerSchedules

export function createOwners ({ pool, check }: OwnersDeps): { forOwner: ForOwner } {
  const query = queryOf(pool)
  const commit = createCommit(pool)
  const remove = async (owner: string, name: string | null): Promise<number> => await commit(async (query) => {
    const gone = await query(sql.remove, [owner, name]) as Array<{ id: string }>
    if (gone.length > 0) await query(sql.cancelRest, [gone.map(({ id }) => id)])
    return gone.length
  }, timeout)
  return {
    forOwner (owner) {
      if (!idRule.accepts(owner)) throw new FST_SCHEDULER_OPTION_INVALID(`an owner must be ${idRule.expected}, got ${show(owner)}`)
      return {
        async upsert (options) {
          const problem = checkSchedule(options)
          if (problem !== null) throw new FST_SCHEDULER_OPTION_INVALID(problem)
          check(options.name, options.payload)
          return (await upsert(query, [{ schedule: toSchedule(options), owner, revision: 0 }])).length > 0
        },
        remove: async (name) => await remove(owner, name) > 0,
        removeAll: async () => await remove(owner, null),
        list: async () => await query(sql.list, [owner]) as OwnedSchedule[]
      }
    }
  }
}
