import type { LockBackend } from './backend.js'
import { FST_LOCKS_LOST, FST_LOCKS_TIMEOUT, FST_LOCKS_USAGE, lockError } from './errors.js'
import type { Grant } from './grant.js'
import type { Log } from '../log.js'
import { namesOf } from './names.js'
import { createNesting } from './nesting.js'
import type { BackendName, Observer } from './observer.js'
import { checkLockOptions, lockDefaults } from './settings.js'
import type { LockOptions } from './settings.js'
import { createTaking } from './taking.js'
import type { Taken } from './taking.js'

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

export interface LocksDeps {
  /** At least one; the first one is the default. */
  backends: readonly LockBackend[]
  /** The next fencing token, where the backend has drawn none with the lock. Null: there is no Postgres, and fencing is refused. */
  nextToken: (() => Promise<bigint>) | null
  log: Log
  observer: Observer
}

/** Locks over any backends. */
export function createLocks (deps: LocksDeps): LockService {
  const nesting = createNesting()
  const taking = createTaking(deps)
  const [first] = deps.backends
  if (first === undefined) throw new TypeError('locks need a backend')

  const take = async (names: Names, options: LockOptions, attempt?: LockBackend['attempt']): Promise<Taken> => {
    checkLockOptions(options)
    const { ttl = lockDefaults.ttl, wait = lockDefaults.wait, fencing = false, backend = first.name, signal, interval } = options
    const all = namesOf(names)
    if (fencing && deps.nextToken === null) throw new FST_LOCKS_USAGE('a fencing token needs the option `postgres` of the plugin')
    nesting.check(backend, all)
    return await taking.take(all, { ttl, wait, fencing, backend, signal, interval, attempt })
  }
  const using = async <T>(names: Names, options: LockOptions, routine: Routine<T>, attempt?: LockBackend['attempt']): Promise<T> => {
    const { grant, end, backend, details } = await take(names, options, attempt)
    const value = await nesting.run({ names: grant.names, backend, isOpen: () => grant.remaining() > 0 }, async () => await routine(grant))
      .catch(async (error: unknown) => {
        await end()
        throw error
      })
    if (await end() === 'lost') throw grant.signal.aborted ? grant.signal.reason : lockError(FST_LOCKS_LOST, details, notOurs())
    return value
  }
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

function notOurs (): Error {
  return new Error('its key was not ours any more')
}
