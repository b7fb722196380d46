import type { Attempt } from '../../services/idempotency/engine.js'
import type { IdempotencyRouteOptions, RouteSettings } from './options.js'

/** What a handler may know of its own protection. */
export interface RequestIdempotency {
  /** The key without quotes. */
  key: string
  /** What recognises a duplicate of this request. */
  layer: 'key'
  /** Token of this attempt: random, another one for every run. */
  attempt: string
}

/** The run of a protected request, from its claim to its record. */
export interface Run {
  attempt: Attempt
  settings: RouteSettings
  /** Set by whoever finishes the record first: a later hook must not touch it. */
  settled: boolean
}

export const kRun = Symbol('holdfast.idempotency.run')

declare module 'fastify' {
  interface FastifyRequest {
    /** Null on a request that is not protected, or not yet. */
    idempotency: RequestIdempotency | null
    [kRun]: Run | null
  }
  interface FastifyContextConfig {
    idempotency?: boolean | IdempotencyRouteOptions
  }
}
