import type { ClientConfig } from 'pg'
import type { LockBackend } from '../backend.js'
import { once } from '../../concurrency/once.js'
import type { Log } from '../../log.js'
import { FST_LOCKS_USAGE } from '../errors.js'
import { nextToken } from './fencing.js'
import { createSessionLocks } from './session-locks.js'
import type { SessionLocks } from './session-locks.js'
import { openSession } from './session.js'
import { createSubscriptions } from './subscriptions.js'

export interface SessionBackendOptions {
  /** To Postgres itself, not to a pooler in transaction mode. */
  connection: ClientConfig
  /** Names of another namespace are other locks. Default: `holdfast`. */
  namespace?: string
  /** How often a silent connection is looked at, ms. Default: 5,000. */
  heartbeat?: number
  /** Wait for the connection, and for each answer of Postgres, ms. Default: 2,000. */
  timeout?: number
  log: Log
}

export interface SessionBackend extends LockBackend {
  readonly namespace: string
  /** Connects, unless that was done. @throws FST_LOCKS_USAGE behind a pooler in transaction mode. */
  open: () => Promise<void>
  /** For locks that are not in Postgres. On the connection of the locks: work that holds all others of a pool cannot starve it. */
  nextToken: () => Promise<bigint>
}

/**
 * Session locks, all of them on one connection that does nothing else: work that holds locks cannot starve those who want to lock, and a COMMIT or
 * ROLLBACK of the work does not touch them. When the connection ends, every lock of this process is lost, and the next attempt opens another one.
 */
export function createSessionBackend (options: SessionBackendOptions): SessionBackend {
  const { namespace = 'holdfast', log } = options
  const subscriptions = createSubscriptions(log)
  const { connected, close } = createConnecting(options, (locks) => { subscriptions.renew(locks) })
  return {
    name: 'postgres',
    namespace,
    async open () {
      await connected()
    },
    async nextToken () {
      const { session } = await connected()
      return await nextToken(async (text, values) => await session.query({ text }, values))
    },
    async attempt (names) {
      try {
        return await (await connected()).attempt(names)
      } catch (cause) {
        if (cause instanceof FST_LOCKS_USAGE) throw cause
        return { outcome: 'unavailable', cause }
      }
    },
    subscribe: (names, wake) => subscriptions.add(names, wake, connected),
    close
  }
}

/** One session at a time, opened when it is needed. */
function createConnecting ({ connection, namespace = 'holdfast', heartbeat = 5_000, timeout = 2_000, log }: SessionBackendOptions, onOpen: (locks: SessionLocks) => void) {
  let current: Promise<SessionLocks> | null = null
  let closed = false
  const open = async (): Promise<SessionLocks> => {
    const session = await openSession({ connection, heartbeat, timeout, log })
    session.ended.addEventListener('abort', () => {
      current = null
      if (!closed) log.error({ err: session.ended.reason as Error }, 'the session of the locks ended, and what it held is lost')
    }, { once: true })
    const locks = createSessionLocks({ session, namespace, log })
    onOpen(locks)
    return locks
  }
  return {
    async connected (): Promise<SessionLocks> {
      if (closed) throw new Error('the locks were closed')
      current ??= open().catch((error: unknown) => {
        current = null
        throw error
      })
      return await current
    },
    close: once(async () => {
      closed = true
      const last = await current?.catch(() => null) // it never opened
      await last?.close()
    })
  }
}
