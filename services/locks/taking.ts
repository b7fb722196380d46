import type { LockBackend } from './backend.js'
import { FST_LOCKS_ABORTED, FST_LOCKS_TIMEOUT, FST_LOCKS_UNAVAILABLE, FST_LOCKS_USAGE, withDetails } from './errors.js'
import { createGrant } from './granting.js'
import type { GrantListener, Granted } from './granting.js'
import type { Log } from '../log.js'
import type { BackendName, Observer, Result } from './observer.js'
import { createWaiting } from './waiting.js'
import type { Waiting, WaitOptions } from './waiting.js'

export interface LocksDeps {
  /** At least one; the first one is the default. */
  backends: readonly LockBackend[]
  /** The next fencing token, where the backend has drawn none with the lock. Null: there is no Postgres, and fencing is refused. */
  nextToken: (() => Promise<bigint>) | null
  log: Log
  observer: Observer
}

/** Passed on as they are: a copy by spread for each lock, which V8 takes for long-lived, cost as much CPU as all the rest. */
export interface TakeOptions extends WaitOptions {
  backend: BackendName
}

export interface Taking {
  take: (names: readonly string[], options: TakeOptions) => Promise<Granted>
  drain: () => void
  close: (timeout: number) => Promise<void>
  held: (backend: BackendName) => number
  waiters: (backend: BackendName) => number
}

/** Waits for locks, keeps account of what is held, and ends it all. */
export function createTaking (deps: LocksDeps): Taking {
  const { log, observer } = deps
  const waitings = new Map(deps.backends.map((backend) => [backend.name, createWaiting({ backend, log })]))
  const account = createAccount()
  const listener = listenerOf(deps, account.close)

  function waitingOf (backend: BackendName): Waiting {
    const waiting = waitings.get(backend)
    if (waiting === undefined) throw new FST_LOCKS_USAGE(`the backend '${backend}' needs the option \`${backend}\` of the plugin`)
    return waiting
  }
  function drain (): void {
    for (const waiting of waitings.values()) waiting.stop(new Error('the server stops'))
  }
  return {
    async take (names, options) {
      const { backend } = options
      const waiting = waitingOf(backend)
      const start = performance.now()
      try {
        const { hold, details } = await waiting.take(names, options)
        observer.asked(backend, 'acquired', performance.now() - start)
        log.debug({ names, backend, waited: details.waited }, 'the lock is held')
        return account.open(createGrant({ hold, backend, details, listener }))
      } catch (error) {
        const waited = performance.now() - start
        tellRefusal(deps, error, { names, backend, wait: options.wait, waited })
        throw withDetails(error, { names, waited: Math.round(waited), attempts: 1 })
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
function createAccount () {
  const all = new Set<Granted>()
  let onClosed = (): void => {}

  async function untilEmpty (timeout: number): Promise<void> {
    if (all.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeout)
      onClosed = () => {
        if (all.size > 0) return
        clearTimeout(timer)
        resolve()
      }
    })
  }
  return {
    open (granted: Granted): Granted {
      all.add(granted)
      return granted
    },
    close (granted: Granted): void {
      all.delete(granted)
      onClosed()
    },
    /** Tells those that are left after the timeout, ms. */
    async settle (timeout: number): Promise<void> {
      await untilEmpty(timeout)
      for (const { lose } of all) lose(new Error('the server stopped while it was held: it ends by itself'))
    },
    held: (backend: BackendName) => [...all].filter((granted) => granted.backend === backend).length
  }
}

function tellRefusal ({ log, observer }: LocksDeps, err: unknown, { names, backend, wait, waited }: { names: readonly string[], backend: BackendName, wait: number, waited: number }): void {
  const result = resultOf(err)
  if (result !== null) observer.asked(backend, result, waited)
  if (wait > 0 && (result === 'busy' || result === 'unavailable')) log.warn({ names, backend, waited: Math.round(waited), err }, 'the lock was not had')
}

function listenerOf ({ log, observer }: LocksDeps, close: (granted: Granted) => void): GrantListener {
  return {
    lost ({ backend, details: { names } }, held, cause) {
      observer.lost(backend)
      log.error({ names, backend, held: Math.round(held), err: cause }, 'the lock was lost')
    },
    ended (granted, held) {
      const { backend, details: { names } } = granted
      close(granted)
      observer.ended(backend, held)
      log.debug({ names, backend, held: Math.round(held) }, 'the lock is given back')
    },
    releaseFailed ({ backend, details: { names } }, err) { log.warn({ names, backend, err }, 'the lock could not be given back: it ends by itself') }
  }
}

function resultOf (error: unknown): Result | null {
  if (error instanceof FST_LOCKS_TIMEOUT) return 'busy'
  if (error instanceof FST_LOCKS_UNAVAILABLE) return 'unavailable'
  return error instanceof FST_LOCKS_ABORTED ? 'aborted' : null
}
