import type { LockBackend } from './backend.js'
import { FST_LOCKS_LOST, FST_LOCKS_TIMEOUT, FST_LOCKS_USAGE, lockError, withDetails } from './errors.js'
import type { Grant } from './grant.js'
import type { Granted } from './granting.js'
import { namesOf } from './names.js'
import { createNesting } from './nesting.js'
import type { Nesting } from './nesting.js'
import type { BackendName } from './observer.js'
import { checkLockOptions, lockDefaults } from './settings.js'
import type { LockOptions } from './settings.js'
import { createTaking } from './taking.js'
import type { LocksDeps } from './taking.js'

export type Names = string | readonly string[]
export type Routine<T> = (grant: Grant) => Promise<T> | T

export interface Locks {
  /**
   * Runs the routine under the lock and gives it back. What the routine throws wins over all else; where it succeeded but the lock was lost,
   * rejects with FST_LOCKS_LOST.
   */
  using: <T>(names: Names, options: LockOptions, routine: Routine<T>) => Promise<T>
  /** As `using`, but does not wait, and answers instead of throwing when somebody else holds the lock. */
  tryUsing: <T>(names: Names, options: Omit<LockOptions, 'wait'>, routine: Routine<T>) => Promise<{ acquired: true, value: T } | { acquired: false }>
  /** Takes the lock for the caller to give back. Prefer `using`, which cannot forget it. */
  acquire: (names: Names, options?: LockOptions) => Promise<Grant>
}

export interface LockService extends Locks {
  /** `attempt` asks in place of the backend, for a lock of the caller's transaction. */
  using: <T>(names: Names, options: LockOptions, routine: Routine<T>, attempt?: LockBackend['attempt']) => Promise<T>
  /** Refuses new locks and ends the waits. What is held stays so. */
  drain: () => void
  /** Waits until everything is given back, for `timeout` ms at most; the holders that are left are told by their signals, and what they hold ends with its ttl. */
  close: (timeout: number) => Promise<void>
  held: (backend: BackendName) => number
  waiters: (backend: BackendName) => number
}

type Take = (names: Names, options: LockOptions, attempt?: LockBackend['attempt']) => Promise<Granted>

/** Locks over any backends. */
export function createLocks (deps: LocksDeps): LockService {
  const nesting = createNesting()
  const taking = createTaking(deps)
  const [first] = deps.backends
  if (first === undefined) throw new TypeError('locks need a backend')

  const begin: Take = (names, options, attempt) => {
    checkLockOptions(options)
    const { ttl = lockDefaults.ttl, wait = lockDefaults.wait, fencing = false, backend = first.name, signal, interval } = options
    const all = namesOf(names)
    if (fencing && deps.nextToken === null) throw new FST_LOCKS_USAGE('a fencing token needs the option `postgres` of the plugin')
    nesting.check(backend, all)
    return taking.take(all, { ttl, wait, backend, signal, interval, attempt, nextToken: fencing ? deps.nextToken : null })
  }
  const take: Take = (names, options, attempt) => {
    try {
      return begin(names, options, attempt)
    } catch (error) {
      throw withDetails(error, { names: [names].flat(), waited: 0, attempts: 0 })
    }
  }
  const using = usingBy(take, nesting)
  return {
    using,
    tryUsing: tryUsingBy(using),
    acquire: async (names, options = {}) => (await take(names, options)).grant,
    drain: taking.drain,
    close: taking.close,
    held: taking.held,
    waiters: taking.waiters
  }
}

function usingBy (take: Take, nesting: Nesting): LockService['using'] {
  return async (names, options, routine, attempt) => {
    const granted = await take(names, options, attempt)
    let value: Awaited<ReturnType<typeof routine>>
    try {
      value = await nesting.run(granted, routine)
    } catch (error) {
      await granted.end()
      throw error
    }
    if (await granted.end() === 'lost') throw lossOf(granted)
    return value
  }
}

function tryUsingBy (using: Locks['using']): Locks['tryUsing'] {
  return async (names, options, routine) => {
    let ran = false
    try {
      return { acquired: true, value: await using(names, { ...options, wait: 0 }, (grant) => { ran = true; return routine(grant) }) }
    } catch (error) {
      if (!ran && error instanceof FST_LOCKS_TIMEOUT) return { acquired: false }
      throw error
    }
  }
}

function lossOf ({ grant: { signal }, details }: Granted): unknown {
  return signal.aborted ? signal.reason : lockError(FST_LOCKS_LOST, details, new Error('its key was not ours any more'))
}
