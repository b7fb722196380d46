import { setMaxListeners } from 'node:events'
import type { Cluster, Redis } from 'ioredis'
import type { Log } from '../log.js'
import { createAsyncLock } from './async-lock.js'
import type { AsyncLock } from './async-lock.js'
import { createCircuitBreaker } from './circuit-breaker.js'
import type { BreakerOptions, BreakerState, CircuitBreaker } from './circuit-breaker.js'
import { createDebounce } from './debounce.js'
import type { Debounce } from './debounce.js'
import { FST_CONCURRENCY_CLOSED, FST_CONCURRENCY_UNKNOWN_NAME } from './errors.js'
import { createGuard } from './guard.js'
import type { Guard } from './guard.js'
import { once } from './once.js'
import { createRateLimiter } from './rate-limiter.js'
import type { LimiterOptions, RateLimiter } from './rate-limiter.js'
import { createRetry } from './retry.js'
import type { Retry } from './retry.js'
import { createSemaphore } from './semaphore.js'
import type { Semaphore, SemaphoreRunOptions } from './semaphore.js'
import { createThrottle } from './throttle.js'
import type { Throttle } from './throttle.js'
import type { Work } from './work.js'

export interface ConcurrencySettings {
  locks: string[]
  semaphores: Record<string, number>
  limiters: Record<string, LimiterOptions>
  breakers: Record<string, BreakerOptions>
  redis?: Redis | Cluster
  prefix: string
  storeTimeout: number
  log: Log
  onRejected: (limiter: string) => void
}

/** Named primitives. Each name that is unknown throws FST_CONCURRENCY_UNKNOWN_NAME. */
export interface Concurrency {
  lock: (name: string) => Pick<AsyncLock, 'run' | 'waiting'>
  semaphore: (name: string) => Pick<Semaphore, 'run' | 'waiting'>
  limiter: (name: string) => RateLimiter
  breaker: (name: string) => CircuitBreaker
  /** The state of every breaker by its name. */
  breakers: () => Record<string, BreakerState>
  /** The semaphore and the breaker of this name, or the one that there is, in front of the work. */
  guard: <T>(name: string, work: Work<T>, options?: SemaphoreRunOptions) => Promise<T>
  retry: Retry
  debounce: Debounce
  throttle: Throttle
  once: typeof once
}

export interface OwnedConcurrency {
  concurrency: Concurrency
  /** How many wait at the locks and semaphores of each name. */
  waiting: () => Map<string, number>
  breakerStates: () => Map<string, BreakerState>
  /** Ends the delays, and the waits of what says that it does not go on while the server closes. What runs is left to end. */
  drain: () => void
  /** The same for all that waits. */
  close: () => void
}

export function createConcurrency (settings: ConcurrencySettings): OwnedConcurrency {
  const [locks, semaphores] = [locksOf(settings), semaphoresOf(settings)]
  const [limiters, breakers] = [limitersOf(settings), breakersOf(settings)]
  const guards = guardsOf(semaphores, breakers)
  const closing = new AbortController()
  setMaxListeners(0, closing.signal) // one for each delay
  const lines = [...locks, ...semaphores]
  const breakerStates = () => new Map([...breakers].map(([name, breaker]) => [name, breaker.state()]))
  return {
    concurrency: {
      lock: (name) => pick('lock', locks, name),
      semaphore: (name) => pick('semaphore', semaphores, name),
      limiter: (name) => pick('limiter', limiters, name),
      breaker: (name) => pick('breaker', breakers, name),
      breakers: () => Object.fromEntries(breakerStates()),
      async guard (name, work, options) { return await pick('semaphore or breaker', guards, name)(work, options) },
      retry: createRetry({ closing: closing.signal }),
      debounce: createDebounce(closing.signal),
      throttle: createThrottle(closing.signal),
      once
    },
    waiting: () => lines.reduce((sums, [name, line]) => sums.set(name, (sums.get(name) ?? 0) + line.waiting()), new Map<string, number>()),
    breakerStates,
    drain () {
      closing.abort(new FST_CONCURRENCY_CLOSED('delayed calls'))
      for (const [, line] of lines) line.drain()
    },
    close () {
      closing.abort(new FST_CONCURRENCY_CLOSED('delayed calls'))
      for (const [, line] of lines) line.close()
    }
  }
}

function pick<T> (kind: string, named: Map<string, T>, name: string): T {
  const found = named.get(name)
  if (found === undefined) throw new FST_CONCURRENCY_UNKNOWN_NAME(kind, name, [...named.keys()].map((known) => `\`${known}\``).join(', ') || 'none')
  return found
}

function locksOf ({ locks }: ConcurrencySettings): Map<string, AsyncLock> {
  return new Map(locks.map((name) => [name, createAsyncLock({ name: `the lock ${name}` })]))
}

function semaphoresOf ({ semaphores }: ConcurrencySettings): Map<string, Semaphore> {
  return new Map(Object.entries(semaphores).map(([name, size]) => [name, createSemaphore({ name: `the semaphore ${name}`, size })]))
}

function limitersOf ({ limiters, redis, prefix, storeTimeout, log, onRejected }: ConcurrencySettings): Map<string, RateLimiter> {
  const create = (name: string, options: LimiterOptions): RateLimiter => createRateLimiter({
    ...options,
    name: `the limiter ${name}`,
    prefix: `${prefix}:limiter:${name}`,
    storeTimeout,
    ...(redis === undefined ? {} : { redis }),
    onRejected () { onRejected(name) },
    onStoreState (err) {
      if (err === null) log.info({ limiter: name }, 'a limiter counts in Redis again')
      else log.warn({ limiter: name, err }, 'a limiter cannot count in Redis')
    }
  })
  return new Map(Object.entries(limiters).map(([name, options]) => [name, create(name, options)]))
}

function breakersOf ({ breakers, log }: ConcurrencySettings): Map<string, CircuitBreaker> {
  const create = (name: string, options: BreakerOptions): CircuitBreaker => createCircuitBreaker({
    ...options,
    name: `the breaker ${name}`,
    onChange (state) {
      if (state === 'open') log.warn({ breaker: name, state }, 'a breaker opened')
      else log.info({ breaker: name, state }, 'a breaker changed its state')
    }
  })
  return new Map(Object.entries(breakers).map(([name, options]) => [name, create(name, options)]))
}

function guardsOf (semaphores: Map<string, Semaphore>, breakers: Map<string, CircuitBreaker>): Map<string, Guard> {
  const names = new Set([...semaphores.keys(), ...breakers.keys()])
  return new Map([...names].map((name) => [name, createGuard({ name: `guard ${name}`, semaphore: semaphores.get(name) ?? null, breaker: breakers.get(name) ?? null })]))
}
