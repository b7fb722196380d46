import type { Log } from '../../log.js'
import { FST_LOCKS_TIMEOUT, FST_LOCKS_UNAVAILABLE, FST_LOCKS_USAGE, lockError } from '../errors.js'
import type { Grant } from '../grant.js'
import { queryOf } from './query.js'
import type { PgLike, PrismaLike } from './query.js'
import { createRegistry } from './registry.js'
import type { Registry } from './registry.js'
import type { SessionBackend } from './session-backend.js'
import { grantOf } from './session-grant.js'
import { untilHad } from './wait.js'
import type { WaitOptions } from './wait.js'

export interface AdvisoryLocksDeps {
  /** Stays the caller's to close. */
  session: SessionBackend
  /** For questions and for the audit. */
  postgres: PgLike | PrismaLike
  log: Log
}

export type Routine<T> = (grant: Grant) => Promise<T> | T

export interface AdvisoryLocks extends Registry {
  /**
   * Runs the routine while nobody else has the name. No COMMIT or ROLLBACK of the routine touches the lock.
   * @throws what the routine throws; FST_LOCKS_LOST when it ended well and the lock had been lost; FST_LOCKS_TIMEOUT, FST_LOCKS_ABORTED, FST_LOCKS_UNAVAILABLE
   */
  withLock: <T>(name: string, routine: Routine<T>, options?: WaitOptions) => Promise<T>
  /** Null when somebody else has it until the timeout. Whoever gets it has to release it. */
  tryLock: (name: string, options?: WaitOptions) => Promise<Grant | null>
  /** The lock of a month, 1 to 12. */
  withMonthLock: <T>(year: number, month: number, routine: Routine<T>, options?: WaitOptions) => Promise<T>
  isMonthLocked: (year: number, month: number) => Promise<boolean>
}

export function createAdvisoryLocks ({ session, postgres, log }: AdvisoryLocksDeps): AdvisoryLocks {
  const registry = createRegistry({ query: queryOf(postgres), namespace: session.namespace, log })
  const acquire = (name: string, options: WaitOptions = {}): Promise<Grant> => acquireFrom(session, name, options, log)
  const withLock: AdvisoryLocks['withLock'] = async (name, routine, options) => await run(await acquire(name, options), routine)
  return {
    ...registry,
    withLock,
    tryLock: async (name, options) => await acquire(name, options).catch(nullWhenBusy),
    withMonthLock: async (year, month, routine, options) => await withLock(monthOf(year, month), routine, options),
    isMonthLocked: async (year, month) => await registry.isLocked(monthOf(year, month))
  }
}

async function acquireFrom (session: SessionBackend, name: string, options: WaitOptions, log: Log): Promise<Grant> {
  const signal = options.signal ?? new AbortController().signal
  const look = async (): Promise<Grant | null> => {
    const attempt = await session.attempt([name], { ttl: Infinity, signal })
    if (attempt.outcome === 'unavailable') throw lockError(FST_LOCKS_UNAVAILABLE, { names: [name], waited: 0, attempts: 1 }, attempt.cause)
    return attempt.outcome === 'busy' ? null : grantOf(name, attempt.hold, log)
  }
  const subscribe = (wake: () => void): Promise<() => void> => session.subscribe?.([name], wake) ?? Promise.resolve(() => {})
  return await untilHad([name], look, { ...options, subscribe, refuse: async (grant) => { await grant.release() } })
}

/** What the routine threw comes first. */
async function run<T> (grant: Grant, routine: Routine<T>): Promise<T> {
  try {
    const value = await routine(grant)
    grant.signal.throwIfAborted()
    return value
  } finally {
    await grant.release()
  }
}

function nullWhenBusy (error: unknown): null {
  if (error instanceof FST_LOCKS_TIMEOUT) return null
  throw error
}

function monthOf (year: number, month: number): string {
  const isMonth = Number.isInteger(year) && year >= 0 && year <= 9999 && Number.isInteger(month) && month >= 1 && month <= 12
  if (!isMonth) throw new FST_LOCKS_USAGE(`there is no month ${month} of the year ${year}`)
  return `month:${String(year).padStart(4, '0')}-${String(month).padStart(2, '0')}`
}
