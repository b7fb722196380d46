import type { FastifyRequest } from 'fastify'
import type { Cluster, Redis } from 'ioredis'
import type { Registry } from 'prom-client'
import type { BreakerOptions } from '../../services/concurrency/circuit-breaker.js'
import type { LimiterOptions } from '../../services/concurrency/rate-limiter.js'

/** What a route may set in `config: { limiter: … }`: a limiter's name, this, or false. */
export interface LimiterRouteOptions {
  name: string
  /**
   * Whose points the request takes.
   * @default limiterKey of the plugin
   */
  key?: (request: FastifyRequest) => string
  /**
   * How many.
   * @default 1
   */
  points?: number
}

export interface ConcurrencyOptions {
  /**
   * Names of the locks.
   * @default []
   */
  locks?: string[]
  /**
   * Size of each semaphore by its name.
   * @default {}
   */
  semaphores?: Record<string, number>
  /**
   * Points and window of each limiter by its name.
   * @default {}
   */
  limiters?: Record<string, LimiterOptions>
  /**
   * Threshold and pause of each breaker by its name.
   * @default {}
   */
  breakers?: Record<string, BreakerOptions>
  /** An ioredis client: limiters count there, for all instances together. Without it each instance counts for itself. */
  redis?: Redis | Cluster
  /**
   * Redis keys start with `<prefix>:`.
   * @default 'holdfast'
   */
  prefix?: string
  /**
   * How long a limiter waits for Redis, ms.
   * @default 250
   */
  storeTimeout?: number
  /**
   * Whose points a request of a limited route takes.
   * @default (request) => request.ip
   */
  limiterKey?: (request: FastifyRequest) => string
  /**
   * Base of the problem types.
   * @default '/problems/'
   */
  docs?: string
  /**
   * Where the metrics are added: a registry of prom-client. False adds none.
   * @default fastify.metrics, where the plugin holdfast/metrics was registered before, else false
   */
  metrics?: Registry | false
}

export const defaults = Object.freeze({
  locks: [],
  semaphores: {},
  limiters: {},
  breakers: {},
  prefix: 'holdfast',
  storeTimeout: 250,
  docs: '/problems/'
} satisfies Omit<Required<ConcurrencyOptions>, 'redis' | 'limiterKey' | 'metrics'>)
