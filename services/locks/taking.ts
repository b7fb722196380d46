import type { LockBackend } from './backend.js'
import { FST_LOCKS_ABORTED, FST_LOCKS_TIMEOUT, FST_LOCKS_UNAVAILABLE, FST_LOCKS_USAGE, lockError } from './errors.js'
import type { LockDetails } from './errors.js'
import { createGrant } from './granting.js'
import type { GrantDeps, Granted } from './granting.js'
import type { LocksDeps } from './locks.js'
import type { BackendName, Result } from './observer.js'
import { createWaiting } from './waiting.js'
import type { Waited, Waiting } from './waiting.js'

export interface Taken extends Granted {
  backend: BackendName
  details: LockDetails
}

export interface TakeOptions {
  ttl: number
  wait: number
  fencing: boolean
  backend: BackendName
  signal: AbortSignal | undefined
  interval: number | undefined
  /** Asks in place of the backend. */
  attempt: LockBackend['attempt'] | undefined
}

export interface Taking {
  take: (names: readonly string[], options: TakeOptions) => Promise<Taken>
  drain: () => void
  close: (timeout: number) => Promise<void>
  held: (backend: BackendName) => number
  waiters: (backend: BackendName) => number
}

/** Waits for locks, keeps account of what is held, and ends it all. */
export function createTaking (deps: LocksDeps): Taking {
  const { log, observer, nextToken } = deps
  const waitings = new Map(deps.backends.map((backend) => [backend.name, createWaiting({ backend, log })]))
  const account = createAccount(deps)

  function waitingOf (backend: BackendName): Waiting {
    const waiting = waitings.get(backend)
    if (waiting === undefined) throw new FST_LOCKS_USAGE(`the backend '${backend}' needs the option \`${backend}\` of the plugin`)
    return waiting
  }
  function drain (): void {
    for (const waiting of waitings.values()) waiting.stop(new Error('the server stops'))
  }
  return {
    async take (names, { wait, fencing, backend, ...others }) {
      const waiting = waitingOf(backend)
      const start = performance.now()
      try {
        const waited = await waiting.take(names, { wait, ...others })
        const token = fencing && nextToken !== null ? await tokenFor(waited, nextToken) : waited.hold.token ?? null
        observer.asked(backend, 'acquired', performance.now() - start)
        log.debug({ names, backend, waited: waited.details.waited }, 'the lock is held')
        return account.open(waited, token, backend)
      } catch (error) {
        tellRefusal(deps, error, { names, backend, wait, waited: performance.now() - start })
        throw error
      }
    },
    drain,
    async close (timeout) {
      drain()
      await account.settle(timeout)
      await Promise.all([...waitings.values()].map((waiting) => waiting.settled()))
    },
    held: account.held,
    waiters: (backend) => waitings.get(backend)?.waiters() ?? 0
  }
}

/** What is held, until it is given back. */
function createAccount (deps: LocksDeps) {
  const open = new Set<Taken>()
  let onGivenBack = (): void => {}

  async function untilEmpty (timeout: number): Promise<void> {
    if (open.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeout)
      onGivenBack = () => {
        if (open.size > 0) return
        clearTimeout(timer)
        resolve()
      }
    })
  }
  return {
    open ({ hold, details }: Waited, token: bigint | null, backend: BackendName): Taken {
      const onDone = (): void => {
        open.delete(taken)
        onGivenBack()
      }
      const taken: Taken = { ...createGrant({ hold, details, token, ...listeners(deps, backend, details, onDone) }), backend, details }
      open.add(taken)
      return taken
    },
    /** Tells those that are left after the timeout, ms. */
    async settle (timeout: number): Promise<void> {
      await untilEmpty(timeout)
      for (const { lose } of open) lose(new Error('the server stopped while it was held: it ends by itself'))
    },
    held: (backend: BackendName) => [...open].filter((taken) => taken.backend === backend).length
  }
}

function tellRefusal ({ log, observer }: LocksDeps, err: unknown, { names, backend, wait, waited }: { names: readonly string[], backend: BackendName, wait: number, waited: number }): void {
  const result = resultOf(err)
  if (result !== null) observer.asked(backend, result, waited)
  if (wait > 0 && (result === 'busy' || result === 'unavailable')) log.warn({ names, backend, waited: Math.round(waited), err }, 'the lock was not had')
}

function listeners ({ log, observer }: LocksDeps, backend: BackendName, { names }: LockDetails, onDone: () => void): Pick<GrantDeps, 'onLost' | 'onEnded' | 'onReleaseFailed'> {
  return {
    onLost (held, cause) {
      observer.lost(backend)
      log.error({ names, backend, held: Math.round(held), err: cause }, 'the lock was lost')
    },
    onEnded (held) {
      onDone()
      observer.ended(backend, held)
      log.debug({ names, backend, held: Math.round(held) }, 'the lock is given back')
    },
    onReleaseFailed (err) { log.warn({ names, backend, err }, 'the lock could not be given back: it ends by itself') }
  }
}

async function tokenFor ({ hold, details }: Waited, nextToken: () => Promise<bigint>): Promise<bigint> {
  try {
    return hold.token ?? await nextToken()
  } catch (cause) {
    await hold.release().catch(() => {}) // it ends with its ttl, and the caller is told of the same outage
    throw lockError(FST_LOCKS_UNAVAILABLE, details, cause)
  }
}

function resultOf (error: unknown): Result | null {
  if (error instanceof FST_LOCKS_TIMEOUT) return 'busy'
  if (error instanceof FST_LOCKS_UNAVAILABLE) return 'unavailable'
  return error instanceof FST_LOCKS_ABORTED ? 'aborted' : null
}
