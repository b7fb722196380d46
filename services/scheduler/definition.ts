import { createHash } from 'node:crypto'
import { between, boolean, invalidOption, isObject, longestTimer, matching, oneOf, show, timer } from '../options.js'
import type { Rule, Rules } from '../options.js'
import { cronProblem, isTimezone } from './expression.js'
import { json, jsonOf } from './payload.js'

export const overlaps = ['skip', 'bufferOne', 'bufferAll', 'cancelOther', 'allow'] as const
export const catchUps = ['latest', 'all', 'none'] as const
export type Overlap = typeof overlaps[number]
export type CatchUp = typeof catchUps[number]

/** When a schedule ticks, and what becomes of ticks that are late or meet a run. */
export interface ScheduleOptions {
  /** Of the job: letters, digits, `_`, `.` and `-`. */
  name: string
  /** Five fields, or six with seconds first. Read in `timezone`. */
  cron?: string
  /** ms, 1,000 at least. Counted from the first tick, so that it never drifts. */
  every?: number
  /**
   * IANA name.
   * @default 'UTC'
   */
  timezone?: string
  /**
   * ms. A new `every` ticks first after it, and a new `cron` not before. A tick that was due when a process started waits for it too, once.
   * @default 0
   */
  startDelay?: number
  /**
   * Each run is held back by less than this, ms: always the same for one tick.
   * @default 0
   */
  jitter?: number
  /**
   * What becomes of a tick while a run of the schedule has not ended.
   * @default 'skip'
   */
  overlap?: Overlap
  /** What becomes of ticks that are late by more than 10 s. */
  catchUp?: {
    /**
     * Of those in the window runs the last one, or all, or none.
     * @default 'latest'
     */
    policy?: CatchUp
    /**
     * Older ones are missed, ms.
     * @default 3_600_000
     */
    window?: number
    /**
     * How many of them run with `all`; and how many missed ones are recorded.
     * @default 100
     */
    cap?: number
  }
  /**
   * Of the runs that its ticks start.
   * @default null
   */
  payload?: unknown
}

/** Of `define`. With neither `cron` nor `every` the job runs when it is triggered, enqueued, or due by a user's schedule. */
export interface DefinitionOptions extends ScheduleOptions {
  /**
   * A run that takes longer has failed, ms.
   * @default 600_000
   */
  timeout?: number
  /**
   * How often a run that has failed is repeated.
   * @default 0
   */
  retries?: number
  /** The delay before the first repetition, and the longest one, ms: it doubles. */
  backoff?: {
    /** @default 1_000 */
    minDelay?: number
    /** @default 300_000 */
    maxDelay?: number
  }
  /**
   * A run that was begun so often, and ended with its process each time, is dead.
   * @default retries + 5
   */
  maxStarts?: number
  /**
   * Its runs are told by their signals as soon as the process stops, instead of being waited for, and go on in another process.
   * @default false
   */
  interruptible?: boolean
  /** JSON schema that each payload has to fit. */
  schema?: object
  /**
   * Grows with each deployment: a process of an older one never overwrites what a newer one has declared.
   * @default 0
   */
  revision?: number
}

type Filled<Options> = Omit<Required<Options>, 'cron' | 'every' | 'catchUp'> & { cron: string | null, every: number | null, catchUp: Required<NonNullable<ScheduleOptions['catchUp']>> }
export type ScheduleDefinition = Filled<ScheduleOptions>
export type Definition = Omit<Filled<DefinitionOptions>, 'schema' | 'backoff'> & { backoff: Required<NonNullable<DefinitionOptions['backoff']>>, schema: object | null }

const timezone: Rule = { expected: 'an IANA time zone', accepts: isTimezone }
/** Longer ones say nothing more, and each is a key of a cache: 400 kB took half a second to be read. */
const longestCron = 256
const cron: Rule = { expected: `a cron expression of 5 or 6 fields, ${longestCron} characters at most`, accepts: (value) => typeof value === 'string' && value.length <= longestCron && cronProblem(value) === null }
const whole = (unit: string): Rule => between(0, longestTimer, unit)
const object: Rule = { expected: 'an object', accepts: isObject }

const scheduleRules: Rules<ScheduleOptions> = {
  name: matching(/^[\w.-]{1,100}$/, 'a string of 1 to 100 letters, digits, `_`, `.` or `-`'),
  cron,
  every: between(1_000, longestTimer, 'ms'),
  timezone,
  startDelay: whole('ms'),
  jitter: whole('ms'),
  overlap: oneOf(...overlaps),
  catchUp: object,
  payload: json
}

const rules: Rules<DefinitionOptions> = {
  ...scheduleRules,
  timeout: timer,
  retries: between(0, 1_000, 'runs'),
  backoff: object,
  maxStarts: between(1, 2_000, 'starts'),
  interruptible: boolean,
  schema: object,
  revision: between(0, Number.MAX_SAFE_INTEGER, 'a number that grows')
}

const catchUpRules: Record<string, Rule> = { policy: oneOf(...catchUps), window: between(0, 366 * 86_400_000, 'ms'), cap: between(1, 1_000, 'ticks') }
const backoffRules: Record<string, Rule> = { minDelay: whole('ms'), maxDelay: whole('ms') }

/** What is wrong with the options of `define`, naming the schedule; or null. */
export function checkDefinition (options: DefinitionOptions): string | null {
  const problem = invalidOption(options, rules) ?? nested(options, 'catchUp', catchUpRules) ?? nested(options, 'backoff', backoffRules) ?? cadence(options) ?? starts(options)
  return problem === null ? null : named(options, problem)
}

/** The same for the schedule of a user, which needs a cadence. */
export function checkSchedule (options: ScheduleOptions): string | null {
  const problem = invalidOption(options, scheduleRules) ?? nested(options, 'catchUp', catchUpRules) ?? cadence(options) ??
    (options.cron === undefined && options.every === undefined ? 'one of the options `cron` and `every` must be given' : null)
  return problem === null ? null : named(options, problem)
}

export function toSchedule ({ cron, every, catchUp, name, timezone = 'UTC', startDelay = 0, jitter = 0, overlap = 'skip', payload = null }: ScheduleOptions): ScheduleDefinition {
  const { policy = 'latest', window = 3_600_000, cap = 100 } = catchUp ?? {}
  return { name, cron: cron?.trim().split(/\s+/).join(' ') ?? null, every: every ?? null, timezone, startDelay, jitter, overlap, catchUp: { policy, window, cap }, payload }
}

/** With all defaults. The options were checked. */
export function toDefinition (options: DefinitionOptions): Definition {
  const { timeout = 600_000, retries = 0, backoff: { minDelay = 1_000, maxDelay = 300_000 } = {}, maxStarts = retries + 5, interruptible = false, schema = null, revision = 0 } = options
  return { ...toSchedule(options), timeout, retries, backoff: { minDelay, maxDelay }, maxStarts, interruptible, schema, revision }
}

/** Over all that its row holds: what is not in there (how it runs, and from when on) each process decides by what it was told itself. */
export function hashOf ({ cron, every, timezone, jitter, overlap, catchUp, payload }: ScheduleDefinition): string {
  return createHash('sha256').update(jsonOf({ cron, every, timezone, jitter, overlap, catchUp, payload })).digest('hex')
}

function named ({ name, cron }: ScheduleOptions, problem: string): string {
  const why = typeof cron === 'string' && cron.length <= longestCron && problem.startsWith('option `cron`') ? `: ${cronProblem(cron)}` : ''
  return `${typeof name === 'string' ? `schedule \`${name}\`: ` : ''}${problem}${why}`
}

function nested (options: DefinitionOptions, name: 'catchUp' | 'backoff', rules: Record<string, Rule>): string | null {
  const value = options[name]
  return value === undefined ? null : invalidOption(value, rules, `${name}.`)
}

function cadence ({ name, cron, every, jitter = 0 }: ScheduleOptions): string | null {
  if (name === undefined) return `option \`name\` must be ${scheduleRules.name.expected}, got nothing`
  if (every !== undefined && jitter > every) return `option \`jitter\` must be \`every\` (${every}) at most, got ${show(jitter)}`
  return cron === undefined || every === undefined ? null : `only one of the options \`cron\` and \`every\` may be given, got ${show(cron)} and ${show(every)}`
}

function starts ({ retries = 0, maxStarts, backoff: { minDelay = 1_000, maxDelay = 300_000 } = {} }: DefinitionOptions): string | null {
  if (maxStarts !== undefined && maxStarts <= retries) return `option \`maxStarts\` must be more than \`retries\` (${retries}), got ${show(maxStarts)}`
  return minDelay > maxDelay ? `option \`backoff.maxDelay\` must be \`backoff.minDelay\` (${minDelay}) at least, got ${show(maxDelay)}` : null
}
