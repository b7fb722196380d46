import type { Cluster, Redis } from 'ioredis'
import type { Pool } from 'pg'
import type { Registry } from 'prom-client'

/** `web`: defines, enqueues and controls. `worker`: ticks and runs jobs too. */
export type Role = 'web' | 'worker'

export interface SchedulerOptions {
  /** An ioredis client without `keyPrefix`. Connections of our own are opened to where it points: BullMQ needs other settings. */
  redis: Redis | Cluster
  /** A pool of a database with the tables that holdfast/migrations makes: schedules, and the ledger of runs. */
  postgres: Pool
  /**
   * Of the keys in Redis. Applications that share a Redis need different ones.
   * @default 'holdfast'
   */
  prefix?: string
  /**
   * What this process does.
   * @default ['web', 'worker']
   */
  roles?: readonly Role[]
  /**
   * How often the cluster looks for what is due, ms.
   * @default 1_000
   */
  tick?: number
  /**
   * How many runs one process has at once.
   * @default 10
   */
  concurrency?: number
  /**
   * How long a run outlives a process that died, ms: then another one runs it again. While its process lives it is extended.
   * @default 30_000
   */
  lease?: number
  /**
   * How long runs that have ended are kept, ms, and with them the request ids that were used up.
   * @default 30 days
   */
  retention?: number
  /**
   * How long a stop waits for the runs in progress, ms. Those that are left are told by their signals, and put back without using up an attempt.
   * @default 20_000
   */
  closeTimeout?: number
  /**
   * Where the metrics are added: a registry of prom-client. False adds none.
   * @default fastify.metrics, where the plugin holdfast/metrics was registered before, else false
   */
  metrics?: Registry | false
}

export const defaults = Object.freeze({ prefix: 'holdfast', roles: Object.freeze(['web', 'worker'] as const), tick: 1_000, concurrency: 10, lease: 30_000, retention: 30 * 86_400_000, closeTimeout: 20_000 })
