import { circuitBreaker, CircuitState, ConsecutiveBreaker, handleWhen } from 'cockatiel'
import { FST_CONCURRENCY_CIRCUIT_OPEN } from './errors.js'
import { abortSignal } from '../options.js'
import { checkOptions, runWithin } from './work.js'
import type { Work } from './work.js'

export interface BreakerOptions {
  /** Failures in a row that open it. */
  threshold: number
  /** How long it refuses all calls before it tries one, ms. */
  halfOpenAfter: number
  /**
   * Which errors say that what is called has failed. Others are passed on and count as nothing.
   * @default () => true
   */
  isFailure?: (error: unknown) => boolean
}

export interface BreakerSettings extends BreakerOptions {
  /** How errors call it: `breaker database`. */
  name: string
  onChange?: (state: BreakerState) => void
}

export type BreakerState = 'closed' | 'half-open' | 'open'

export interface CircuitBreaker {
  /**
   * Runs the work, unless what it calls has failed too often. While half open one call is tried, and all others are refused until it has ended.
   *
   * @throws what the work throws, FST_CONCURRENCY_CIRCUIT_OPEN
   */
  run: <T>(work: Work<T>, options?: { signal?: AbortSignal }) => Promise<T>
  state: () => BreakerState
}

const states: Record<CircuitState, BreakerState> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.HalfOpen]: 'half-open',
  [CircuitState.Open]: 'open',
  [CircuitState.Isolated]: 'open'
}

/** All that a call throws, with what is known of the call. */
interface Failure {
  error: unknown
  /** Its caller had given up: the error says nothing of what is called. */
  isGivenUp: boolean
  /** It was the one call that is tried while the breaker is half open. */
  isTrial: boolean
}

export function createCircuitBreaker ({ name, threshold, halfOpenAfter, isFailure = () => true, onChange }: BreakerSettings): CircuitBreaker {
  // A trial that was given up has proved nothing, and cockatiel takes for a success what is not counted: there it counts. What began before the breaker
  // opened, and ends after that, says nothing of now.
  const counts = ({ error, isGivenUp, isTrial }: Failure): boolean =>
    isTrial ? isGivenUp || isFailure(error) : policy.state === CircuitState.Closed && !isGivenUp && isFailure(error)
  const policy = circuitBreaker(handleWhen((thrown: unknown) => counts(thrown as Failure)), { halfOpenAfter, breaker: new ConsecutiveBreaker(threshold) })
  if (onChange !== undefined) policy.onStateChange((state) => { onChange(states[state]) })
  let refusedUntil = 0
  policy.onBreak(() => { refusedUntil = performance.now() + halfOpenAfter })
  const refusal = (): Error => Object.assign(new FST_CONCURRENCY_CIRCUIT_OPEN(name), { retryAfter: Math.max(1, refusedUntil - performance.now()) })

  return {
    async run (work, options = {}) {
      checkOptions(options, { signal: abortSignal }, name)
      // cockatiel would have them wait for the trial, deaf to their signals, and then go all at once.
      if (policy.state === CircuitState.HalfOpen) throw refusal()
      const isTrial = policy.state !== CircuitState.Closed
      let began = false
      const call = async () => {
        began = true
        try {
          return await runWithin(work, options, name)
        } catch (error) {
          const failure: Failure = { error, isTrial, isGivenUp: options.signal?.aborted === true }
          throw failure
        }
      }
      try {
        return await policy.execute(call)
      } catch (thrown) {
        throw began ? (thrown as Failure).error : refusal()
      }
    },
    state: () => states[policy.state]
  }
}
