import type { FastifyRequest } from 'fastify'
import type { Cluster, Redis } from 'ioredis'
import type { Registry } from 'prom-client'
import type { PostgresClient } from '../../services/database/query.js'

/** What a route may say in `config: { lock: … }`: no two of its requests with one key run together. */
export interface LockRouteOptions {
  /** The name of the lock, or several. */
  key: (request: FastifyRequest) => string | readonly string[]
  /**
   * Status of the answer when the lock is held by somebody else for longer than `wait`.
   * @default 409
   */
  onBusy?: 409 | 423 | 503
  /**
   * How long a request waits for the lock, ms.
   * @default 0
   */
  wait?: number
  /**
   * How long the lock outlives a process that died or was cut off, ms. While the handler runs it is extended.
   * @default 10_000
   */
  ttl?: number
  /**
   * Take a token that grows with every grant: `request.lock.token`. Needs Postgres.
   * @default false
   */
  fencing?: boolean
  /** @default 'redis', and 'postgres' where there is no Redis */
  backend?: 'redis' | 'postgres'
}

export interface LocksOptions {
  /** An ioredis client, or 3 or 5 of servers that know nothing of each other. Connections of our own are opened to where they point. */
  redis?: Redis | Cluster | ReadonlyArray<Redis | Cluster>
  /**
   * A pg.Pool, or a Prisma client and `directUrl`, of a database with the tables that holdfast/migrations makes. Session locks are on one connection of our own, to where the
   * pool leads; the client answers questions of who holds what.
   */
  postgres?: PostgresClient
  /**
   * URL of Postgres itself, where `postgres` is a Prisma client or leads to a pooler in transaction mode.
   * @default where the pool leads
   */
  directUrl?: string
  /**
   * Redis keys start with `<prefix>:{locks}:`. In Postgres the same name under another prefix is another lock.
   * @default 'holdfast'
   */
  prefix?: string
  /**
   * How long a stop waits for the work under locks, once the server has answered its requests, ms.
   * @default 5_000
   */
  closeTimeout?: number
  /**
   * Where the metrics are added: a registry of prom-client. False adds none.
   * @default fastify.metrics, where the plugin holdfast/metrics was registered before, else false
   */
  metrics?: Registry | false
}

export const defaults = Object.freeze({ prefix: 'holdfast', closeTimeout: 5_000, onBusy: 409, wait: 0 })

export type ResolvedOptions = LocksOptions & Pick<Required<LocksOptions>, 'prefix' | 'closeTimeout'>
