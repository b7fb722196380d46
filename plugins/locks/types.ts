import type { Grant } from '../../services/locks/grant.js'
import type { Locks } from '../../services/locks/locks.js'
import type { AdvisoryLocks } from '../../services/locks/postgres/advisory.js'
import type { Registry } from '../../services/locks/postgres/registry.js'
import type { LockRouteOptions } from './options.js'

/** What a request is doing under its lock. */
export interface Run {
  grant: Grant
  /** An answer is on its way, or the handler waits for it. */
  sending: boolean
  /** Nothing of the handler runs any more. */
  handled: boolean
  /** The lock was given back. */
  over: boolean
  /** The answer on its way waits for that, and tells what has failed. */
  told: boolean
  /** To be called when the handler has answered by itself. */
  answered: () => void
  /** Resolves when the lock was given back, with what has failed or null. Never rejects. */
  given: Promise<unknown>
}

/** `fastify.locks`. What is only in Postgres rejects with FST_LOCKS_USAGE where the plugin has no `postgres`. */
export interface AppLocks extends Locks, Registry {
  /** Whether somebody holds a lock of the name: in any backend, or in the one that is named. @throws FST_LOCKS_UNAVAILABLE where a majority of the Redis servers cannot be had */
  isLocked: (name: string, options?: { backend?: 'redis' | 'postgres' }) => Promise<boolean>
  /** Locks of Postgres by name: of a session, or of the caller's transaction. */
  advisory: AdvisoryLocks
}

/** Private state of a request. */
export const kRun = Symbol('holdfast.locks.run')

declare module 'fastify' {
  interface FastifyInstance {
    locks: AppLocks
  }
  interface FastifyRequest {
    /** The lock that `config.lock` has taken for the request, or null. */
    lock: Grant | null
    [kRun]: Run | null
  }
  interface FastifyContextConfig {
    lock?: LockRouteOptions
  }
}
