import { parseExpression } from './expression.js'
import type { CatchUp } from './definition.js'

/** A schedule whose next tick has come; instants and durations in ms. */
export interface DueSchedule {
  id: string
  name: string
  owner: string
  cron: string | null
  every: number | null
  timezone: string
  jitter: number
  overlap: string
  catch_up: string
  catch_up_window: number
  catch_up_cap: number
  next_at: number
}

export interface DueTicks {
  /** Oldest first, as all of these. */
  run: Date[]
  /** The last ones of those that are not run: what was not recorded in a long time would be too many rows. */
  missed: Date[]
  next: Date | null
}

/** Ticks that are late by no more than this, ms, run whatever the policy is: nobody was down. */
export const punctual = 10_000

/** What becomes of the ticks from the schedule's next one up to now. That one is a tick even where the expression was changed since. */
export function dueTicks (schedule: DueSchedule, now: number): DueTicks {
  const { cron, every, timezone, catch_up: policy, catch_up_window: window, catch_up_cap: cap, next_at: at } = schedule
  const first = new Date(at)
  const expression = parseExpression({ cron, every, timezone, anchor: first })
  const second = expression.next(first)
  const isOnly = second === null || second.getTime() > now
  // Two that are a second apart are the nearest there are.
  const ticks = isOnly ? [first] : [first, ...expression.latest(first, new Date(now), punctual / 1_000 + 1 + 2 * cap)]
  const late = ticks.filter((tick) => now - tick.getTime() > punctual)
  const caughtUp = catchUp(policy as CatchUp, ticks, late.filter((tick) => now - tick.getTime() <= window), cap)
  return {
    run: [...caughtUp, ...ticks.slice(late.length)],
    missed: late.slice(0, late.length - caughtUp.length).slice(-cap),
    next: isOnly ? second : expression.next(new Date(now))
  }
}

/** @param late those in the window */
function catchUp (policy: CatchUp, ticks: Date[], late: Date[], cap: number): Date[] {
  if (policy === 'none') return []
  if (policy === 'all') return late.slice(-cap)
  return late.at(-1) === ticks.at(-1) ? late.slice(-1) : [] // a later one is on time
}
