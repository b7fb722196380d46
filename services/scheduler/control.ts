import { queryOf } from '../database/query.js'
import type { Query } from '../database/query.js'
import { createCommit } from '../database/transact.js'
import type { Commit, PoolLike } from '../database/transact.js'
import { matching } from '../options.js'
import type { Rules } from '../options.js'
import { cancelActive, readActive } from './claiming-sql.js'
import * as sql from './control-sql.js'
import type { Overlap } from './definition.js'
import { statesOf } from './overlap.js'
import type { TickState } from './overlap.js'
import { json } from './payload.js'
import { FST_SCHEDULER_REQUEST_ID_REUSED } from './request-errors.js'
import { checkOptions, findRequested, jsonbOf, ownerRule, idRule } from './requests.js'
import type { RequestedRun } from './requests.js'
import { tzRelease } from './zones.js'

export interface TriggerOptions {
  /**
   * Whose schedule it is.
   * @default '': declared by the application
   */
  owner?: string
  /**
   * Null is the same as none.
   * @default that of the schedule
   */
  payload?: unknown
  /**
   * However often it is triggered with it, it is one run. 1 to 255 characters.
   * @default none: each call is a run
   */
  requestId?: string
}

export interface Triggered {
  id: string
  /**
   * `pending`: it runs. `waiting`: after another run of the schedule. `skipped`: it never will, because of another run. With a request id that was
   * there before, whatever has become of its run.
   */
  state: string
  /** False: the request id had a run already. */
  isNew: boolean
}

export interface PauseOptions {
  owner?: string
  /** Who does it. */
  by?: string
}

export interface Pause {
  at: Date
  reason: string
  by: string | null
}

/** When a schedule ticks. */
export interface Ticking {
  cron: string | null
  /** ms */
  every: number | null
  timezone: string
  /** One of its ticks: those of `every` are whole intervals apart from it. */
  anchor: Date
}

export interface ControlDeps {
  /** Stays the caller's to close; its database has the tables of the scheduler. */
  pool: PoolLike
  /** The first tick after that. Null: there is none. */
  next: (ticking: Ticking, after: Date) => Date | null
}

/** All answer null where there is no such schedule, and reject with FST_SCHEDULER_OPTION_INVALID for a wrong option, or with what the client rejects with. */
export interface Control {
  /**
   * Asks for a run now, beside the ticks: none of them is moved or replaced, and a pause stops it not. The overlap policy of the schedule decides what
   * becomes of it; with `cancelOther` the other runs are asked to end.
   * @throws FST_SCHEDULER_REQUEST_ID_REUSED when the request id belongs to something else
   */
  trigger: (name: string, options?: TriggerOptions) => Promise<Triggered | null>
  /** No tick is claimed from now on; runs that were recorded go on. A schedule that is paused already keeps its pause, which is answered. */
  pause: (name: string, reason: string, options?: PauseOptions) => Promise<Pause | null>
  /**
   * Ticks go on with the first one after now: those of the pause do not run and are not recorded, nor is one that was due before it and not claimed yet.
   * A schedule that is not paused stays as it is.
   */
  resume: (name: string, options?: { owner?: string }) => Promise<{ nextAt: Date | null } | null>
}

interface LockedSchedule extends Omit<Ticking, 'anchor'> {
  id: string
  overlap: Overlap
  nextAt: Date | null
  isPaused: boolean
  now: Date
}

/** For a few statements, one of which waits for a claim at most, ms. */
const timeout = 10_000

const said = matching(/^[^\0]*[^\0\s][^\0]*$/, 'a string that says something, without U+0000')
const triggerRules: Rules<TriggerOptions> = { owner: ownerRule, payload: json, requestId: idRule }
const pauseRules: Rules<PauseOptions & { reason: string }> = { owner: ownerRule, by: said, reason: said }

export function createControl ({ pool, next }: ControlDeps): Control {
  const query = queryOf(pool)
  const locked = createLocking(createCommit(pool))
  return {
    async trigger (name, options = {}) {
      checkOptions(options, triggerRules)
      const { owner = '', payload, requestId = null } = options
      return await locked(name, owner, async (query, schedule) => {
        const found = requestId === null ? null : await findRequested(query, { kind: 'manual', name, owner, requestId })
        if (found !== null) return { ...found, isNew: false }
        const [added] = await query(sql.trigger, [schedule.id, jsonbOf(payload), requestId, await decide(query, schedule)]) as RequestedRun[]
        if (added === undefined) throw new FST_SCHEDULER_REQUEST_ID_REUSED(requestId ?? '', name)
        return { ...added, isNew: true }
      })
    },
    async pause (name, reason, options = {}) {
      checkOptions({ ...options, reason: reason ?? null }, pauseRules)
      const { owner = '', by = null } = options
      const [pause] = await query(sql.pause, [name, owner, reason, by]) as Pause[]
      return pause ?? null
    },
    async resume (name, options = {}) {
      checkOptions(options, { owner: ownerRule })
      return await locked(name, options.owner ?? '', async (query, schedule) => {
        if (!schedule.isPaused) return { nextAt: schedule.nextAt }
        const nextAt = nextOf(schedule, next)
        await query(sql.resume, [schedule.id, nextAt, tzRelease])
        return { nextAt }
      })
    }
  }
}

/** Runs work while a schedule is locked, in one transaction. */
function createLocking (commit: Commit) {
  return async <T>(name: string, owner: string, work: (query: Query, schedule: LockedSchedule) => Promise<T>): Promise<T | null> =>
    await commit(async (query) => {
      const [schedule] = await query(sql.lock, [name, owner]) as LockedSchedule[]
      return schedule === undefined ? null : await work(query, schedule)
    }, timeout)
}

/** As for a tick that has come, and so that what others have recorded is seen: once the schedule is locked. */
async function decide (query: Query, { id, overlap }: LockedSchedule): Promise<TickState | undefined> {
  if (overlap === 'cancelOther') await query(cancelActive, [[id]])
  const [active] = await query(readActive, [[id]]) as Array<{ waiting: boolean }>
  return statesOf(overlap, 1, { active: active !== undefined, waiting: active?.waiting ?? false })[0]
}

/** One that is to come still is kept, as is that there is none. */
function nextOf ({ cron, every, timezone, nextAt, now }: LockedSchedule, next: ControlDeps['next']): Date | null {
  return nextAt === null || nextAt > now ? nextAt : next({ cron, every, timezone, anchor: nextAt }, now)
}
