import { boolean, fn, invalidOption, isObject, listOf, matching, show, timer } from '../options.js'
import type { Rules } from '../options.js'
import type { Step } from './attempt.js'
import { FST_LIFECYCLE_USAGE } from './errors.js'

/** In the order of their values in the metric `lifecycle_phase`. */
export const phaseStates = ['pending', 'running', 'ready', 'degraded', 'failed'] as const
export type PhaseState = typeof phaseStates[number]

export interface PhaseReport {
  name: string
  state: PhaseState
  /** Whether the service can do its work without it. */
  optional: boolean
}

export interface RetryDelays {
  /**
   * Bound of the first delay, ms. Each further bound is twice the one before.
   * @default 1_000
   */
  minDelay?: number
  /**
   * No delay is longer, ms.
   * @default 30_000
   */
  maxDelay?: number
}

export interface PhaseOptions {
  /**
   * A failure degrades the service instead of stopping its start.
   * @default false
   */
  optional?: boolean
  /**
   * The phases that end before this one begins, whether or not they are declared yet.
   * @default []
   */
  after?: string[]
  /**
   * How an optional phase that failed is repeated until it is ready or the server stops. False leaves it degraded.
   * @default {}
   */
  retry?: RetryDelays | false
  /**
   * How long one attempt may take, ms.
   * @default 30_000 where it is optional, else none
   */
  timeout?: number
  /** Asked again by every report once the step has succeeded: rejects while the phase's subject cannot be had. */
  probe?: () => Promise<unknown>
}

export interface Phase {
  name: string
  state: PhaseState
  optional: boolean
  after: readonly string[]
  retry: RetryDelays | false
  timeout: number | undefined
  probe: (() => Promise<unknown>) | undefined
  step: Step
  /** Its step has succeeded: only then a probe says anything of it. */
  hasRun: boolean
  /** Its first attempt, with all that it waits for. */
  first: Promise<void>
}

const phaseName = matching(/^[\w.-]{1,64}$/, 'a name of 1 to 64 letters, digits, `_`, `.` or `-`')
const delayRules: Rules<RetryDelays> = { minDelay: timer, maxDelay: timer }
const rules: Rules<PhaseOptions> = {
  optional: boolean,
  after: listOf(phaseName),
  retry: { expected: 'false or an object', accepts: (value) => value === false || isObject(value) },
  timeout: timer,
  probe: fn
}

/** Throws FST_LIFECYCLE_USAGE. */
export function createPhase (name: string, step: Step, options: PhaseOptions): Phase {
  if (!phaseName.accepts(name)) throw new FST_LIFECYCLE_USAGE(`the name of a phase must be ${phaseName.expected}, got ${show(name)}`)
  const problem = fn.accepts(step) ? invalidOption(options, rules) ?? delayProblem(options) : `the step must be a function, got ${show(step)}`
  if (problem !== null) throw new FST_LIFECYCLE_USAGE(`phase \`${name}\`: ${problem}`)
  const { optional = false, after = [], retry = {}, timeout = optional ? 30_000 : undefined, probe } = options
  return { name, state: 'pending', optional, after, retry, timeout, probe, step, hasRun: false, first: Promise.resolve() }
}

function delayProblem ({ optional = false, retry }: PhaseOptions): string | null {
  if (retry === undefined || retry === false) return null
  return optional ? invalidOption(retry, delayRules, 'retry.') : 'option `retry` must be left out where the phase is not optional: a required one that failed ends the start'
}
