import { setImmediate } from 'node:timers/promises'
import type { Query } from '../database/query.js'
import { createCommit } from '../database/transact.js'
import type { PoolLike } from '../database/transact.js'
import * as sql from './claiming-sql.js'
import type { Overlap } from './definition.js'
import { dueTicks } from './due.js'
import type { DueSchedule, DueTicks } from './due.js'
import { jitterOf } from './expression.js'
import { statesOf } from './overlap.js'
import type { TickState } from './overlap.js'
import { tzRelease } from './zones.js'

/** What metrics and the log are told, after the commit. */
export interface ClaimObserver {
  /** So many ticks of the schedules of one name were recorded in this state. */
  recorded: (name: string, state: TickState, count: number) => void
  /** A schedule that cannot be read: its zone may be unknown here. It is put off for a minute. */
  unreadable: (schedule: { name: string, owner: string }, error: unknown) => void
}

export interface ClaimingDeps {
  /** Stays the caller's to close; its database has the tables of the scheduler. */
  pool: PoolLike
  observer?: ClaimObserver
  /**
   * How long one claim computes ticks, ms: after a long time each schedule may have hundreds, and the others stay due for the next claim.
   * @default 2_000
   */
  budget?: number
}

export interface Claiming {
  /**
   * Records the ticks of schedules that are due by the clock of the database, and moves the schedules on, in one transaction.
   * @param limit of schedules, 1,000 at most
   * @returns how many schedules were claimed; 0: nothing is due that nobody else is about to claim
   */
  claim: (limit: number) => Promise<number>
}

interface Claimed {
  schedule: DueSchedule
  ticks: DueTicks
}

/** One of these takes 30 ms; in more than that Postgres is not well, ms. */
const timeout = 30_000

export function createClaiming ({ pool, observer, budget = 2_000 }: ClaimingDeps): Claiming {
  const commit = createCommit(pool)
  return {
    async claim (limit) {
      const done = await commit(async (query) => {
        const [{ now } = { now: 0 }] = await query(sql.begin, []) as Array<{ now: number }>
        const due = await query(sql.lockDue, [Math.min(limit, 1_000)]) as DueSchedule[]
        return due.length > 0 ? await record(query, await read(due, now, budget)) : nothing
      }, timeout)
      if (observer !== undefined) tell(observer, done)
      return done.claimed.length + done.unreadable.length
    }
  }
}

interface Read {
  claimed: Claimed[]
  unreadable: Unreadable[]
}

interface Done extends Read {
  counts: Array<{ name: string, state: TickState, count: number }>
}

const nothing: Done = { claimed: [], unreadable: [], counts: [] }

async function record (query: Query, read: Read): Promise<Done> {
  const { claimed, unreadable } = read
  if (unreadable.length > 0) await query(sql.putOff, [unreadable.map(({ schedule }) => schedule.id)])
  const states = await decide(query, claimed)
  return { ...read, counts: await query(sql.record, [...columnsOf(claimed, states), tzRelease]) as Done['counts'] }
}

function tell (observer: ClaimObserver, { unreadable, counts }: Done): void {
  for (const { name, state, count } of counts) observer.recorded(name, state, count)
  for (const { schedule, error } of unreadable) observer.unreadable(schedule, error)
}

interface Unreadable {
  schedule: DueSchedule
  error: unknown
}

/** Ticks of one claim: of 1,000 schedules that are days late there may be 2,000,000, which no statement records in its time. */
const mostTicks = 20_000

/** Others get their turn in between. What is too much is left for the next claim. */
async function read (due: DueSchedule[], now: number, budget: number): Promise<Read> {
  const done: Read = { claimed: [], unreadable: [] }
  let count = 0
  const started = performance.now()
  let turn = started
  for (const schedule of due) {
    try {
      const ticks = dueTicks(schedule, now)
      done.claimed.push({ schedule, ticks })
      count += ticks.run.length + ticks.missed.length
    } catch (error) {
      done.unreadable.push({ schedule, error })
    }
    if (count > mostTicks) break
    if (performance.now() - turn < 10) continue
    await setImmediate()
    turn = performance.now()
    if (turn - started > budget) break
  }
  return done
}

/** The states of the ticks that run, by what the ledger says once the schedules are locked: what others have claimed before is in there. */
async function decide (query: Query, claimed: Claimed[]): Promise<TickState[][]> {
  const idsOf = (matches: (overlap: string) => boolean): string[] =>
    claimed.filter(({ schedule, ticks }) => ticks.run.length > 0 && matches(schedule.overlap)).map(({ schedule }) => schedule.id)
  const cancelling = idsOf((overlap) => overlap === 'cancelOther')
  if (cancelling.length > 0) await query(sql.cancelActive, [cancelling])
  const asking = idsOf((overlap) => overlap !== 'allow')
  const rows = asking.length === 0 ? [] : await query(sql.readActive, [asking]) as Array<{ id: string, waiting: boolean }>
  const active = new Map(rows.map(({ id, waiting }) => [id, { active: true, waiting }]))
  return claimed.map(({ schedule, ticks }) =>
    statesOf(overlapOf(schedule, ticks), ticks.run.length, active.get(schedule.id) ?? { active: false, waiting: false }))
}

/** Ticks that are all caught up with wait for each other, where they would skip each other. */
function overlapOf ({ overlap, catch_up: policy }: DueSchedule, { run }: DueTicks): Overlap {
  return policy === 'all' && run.length > 1 && (overlap === 'skip' || overlap === 'bufferOne') ? 'bufferAll' : overlap as Overlap
}

/** As array literals: nothing in them needs an escape. */
function columnsOf (claimed: Claimed[], states: TickState[][]): string[] {
  const ticks = claimed.flatMap(({ schedule: { id, jitter }, ticks: { run, missed } }, index) => [
    ...missed.map((tick) => ({ id, tick: tick.getTime(), state: 'missed', dueAt: tick.getTime() })),
    ...run.map((tick, at) => ({ id, tick: tick.getTime(), state: states[index]?.[at], dueAt: tick.getTime() + jitterOf(id, tick, jitter) }))
  ])
  return [
    column(claimed, ({ schedule }) => schedule.id),
    column(claimed, ({ ticks: { next } }) => next?.getTime() ?? 'NULL'),
    column(ticks, ({ id }) => id),
    column(ticks, ({ tick }) => tick),
    column(ticks, ({ state }) => state),
    column(ticks, ({ dueAt }) => dueAt)
  ]
}

function column<Item> (items: Item[], valueOf: (item: Item) => string | number | undefined): string {
  return `{${items.map(valueOf).join(',')}}`
}
