import { hash } from 'node:crypto'
import { Cron } from 'croner'
import { LRUCache } from 'lru-cache'

/** When a schedule ticks: by one of `cron` and `every`. */
export interface Cadence {
  /** Five fields, or six with seconds first. */
  cron?: string | null
  /** ms. */
  every?: number | null
  /** IANA name of the zone that `cron` is read in. */
  timezone: string
  /**
   * A tick of `every`: the others are whole intervals after it, so that they never drift. A schedule's own next tick is one.
   * @default the epoch
   */
  anchor?: Date
}

/** All instants are ticks: nominal, and of UTC. */
export interface Expression {
  /** The first one after that. Null: there is none. */
  next: (after: Date) => Date | null
  /** The last `cap` ones of (after, until], oldest first. The ones before them cost nothing. */
  latest: (after: Date, until: Date, cap: number) => Date[]
}

/** A year without its 29 February is followed by seven more at most. */
const longestGap = 9 * 366 * 86_400_000

/** @throws TypeError, now or when a tick is asked for, that says what is wrong with an expression that croner does not know */
export function parseExpression ({ cron, every, timezone, anchor = new Date(0) }: Cadence): Expression {
  if (typeof cron === 'string') return cronExpression(cron, timezone)
  if (typeof every === 'number') return interval(every, anchor.getTime())
  throw new TypeError('a cadence has `cron` or `every`')
}

/** Why it is no cron expression that ever ticks, or null. */
export function cronProblem (cron: string, now = new Date()): string | null {
  try {
    const next = parse(cron, 'UTC').nextRun(now)
    return next !== null && next.getTime() - now.getTime() < longestGap ? null : 'it never comes'
  } catch (error) {
    return (error as Error).message.replace(/^CronPattern: /, '')
  }
}

/** Of a tz database that has it: that of this process. */
export function isTimezone (value: unknown): boolean {
  if (typeof value !== 'string' || !/^[a-z]/i.test(value)) return false // later versions of Node take `+02:00`, and others would not know it
  try {
    return new Intl.DateTimeFormat('en', { timeZone: value }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

/** How long a run of this tick is held back, ms, below `jitter`: the same in every process, and different for each schedule and tick. */
export function jitterOf (scheduleId: string | bigint | number, tick: Date, jitter: number): number {
  return jitter === 0 ? 0 : hash('sha1', `${scheduleId}:${tick.getTime()}`, 'buffer').readUInt32BE() % jitter
}

function interval (every: number, anchor: number): Expression {
  const next = (after: Date): Date => new Date(anchor + Math.max(0, Math.floor((after.getTime() - anchor) / every) + 1) * every)
  return {
    next,
    latest (after, until, cap) {
      const count = Math.floor((until.getTime() - next(after).getTime()) / every) + 1
      return collect(next, new Date(next(after).getTime() + Math.max(0, count - cap) * every - 1), until, cap)
    }
  }
}

function cronExpression (cron: string, timezone: string): Expression {
  /** Ticks come on whole minutes, or seconds: what is asked in one of them has one answer. */
  const grain = cron.trim().split(/\s+/).length === 5 ? 60_000 : 1_000
  const floor = (at: Date): number => Math.floor(at.getTime() / grain) * grain
  return {
    next (after) {
      const [tick] = cached(`${cron}|${timezone}|${floor(after)}`, () => [parse(cron, timezone).nextRun(new Date(floor(after)))].filter((tick) => tick !== null))
      return tick ?? null
    },
    latest: (after, until, cap) =>
      cached(`${cron}|${timezone}|${after.getTime()}|${floor(until)}|${cap}`, () => latest(parse(cron, timezone), after, new Date(floor(until)), cap))
  }
}

function latest (cron: Cron, after: Date, until: Date, cap: number): Date[] {
  const found: Date[] = []
  let [tick] = cron.previousRuns(1, new Date(until.getTime() + 1)) // it finds what was before
  while (tick !== undefined && tick > after && found.length < cap) {
    found.push(tick);
    [tick] = cron.previousRuns(1, tick)
  }
  return found.reverse()
}

function collect (next: (after: Date) => Date | null, after: Date, until: Date, cap: number): Date[] {
  const found: Date[] = []
  let tick = next(after)
  while (tick !== null && tick <= until && found.length < cap) {
    found.push(tick)
    tick = next(tick)
  }
  return found
}

/** Of croner's 83 kB each: of many expressions in turn, those that are kept for a while are what the garbage collector is slow to take. */
const parsedOnes = new LRUCache<string, Cron>({ max: 10 })

function parse (cron: string, timezone: string): Cron {
  const key = `${cron}|${timezone}`
  const known = parsedOnes.get(key)
  if (known !== undefined) return known
  if (cron.trim().startsWith('@')) throw new TypeError('names are not known, write the fields')
  const parsed = new Cron(cron, { timezone, paused: true, mode: '5-or-6-parts', fixedTimeRule: 'no-wildcard' })
  parsedOnes.set(key, parsed)
  return parsed
}

/** 25,000 schedules that are due in one minute have few different expressions, and croner takes 60 µs. */
const answers = new LRUCache<string, number[]>({ max: 20_000, maxSize: 200_000, sizeCalculation: (ticks) => ticks.length + 1 })

/** Ticks, as Dates that are the caller's own. */
function cached (key: string, compute: () => Date[]): Date[] {
  const known = answers.get(key)
  if (known !== undefined) return known.map((tick) => new Date(tick))
  const ticks = compute()
  answers.set(key, ticks.map((tick) => tick.getTime()))
  return ticks
}
