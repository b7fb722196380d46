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
  const open = new Set<Taken>()
  let onGivenBack = (): void => {}

  const waitingOf = (backend: BackendName): Waiting => {
    const waiting = waitings.get(backend)
    if (waiting === undefined) throw new FST_LOCKS_USAGE(`the backend '${backend}' needs the option \`${backend}\` of the plugin`)
    return waiting
  }
  const grantOf = ({ hold, details }: Waited, token: bigint | null, backend: BackendName): Taken => {
    const onDone = (): void => {
      open.delete(taken)
      onGivenBack()
    }
    const taken: Taken = { ...createGrant({ hold, details, token, ...listeners(deps, backend, details, onDone) }), backend, details }
    open.add(taken)
    return taken
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
        return grantOf(waited, token, backend)
      } catch (error) {
        const result = resultOf(error)
        const waited = performance.now() - start
        if (result !== null) observer.asked(backend, result, waited)
        if (wait > 0 && (result === 'busy' || result === 'unavailable')) log.warn({ names, backend, waited: Math.round(waited), err: error }, 'the lock was not had')
        throw error
      }
    },
    drain,
    async close (timeout) {
      drain()
      await untilEmpty(timeout)
      for (const { lose } of open) lose(new Error('the server stopped while it was held: it ends by itself'))
      await Promise.all([...waitings.values()].map((waiting) => waiting.settled()))
    },
    held: (backend) => [...open].filter((taken) => taken.backend === backend).length,
    waiters: (backend) => waitings.get(backend)?.waiters() ?? 0
  }

  function drain (): void {
    for (const waiting of waitings.values()) waiting.stop(new Error('the server stops'))
  }

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
