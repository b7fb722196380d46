import type { Attempt } from '../../services/idempotency/engine.js'
import type { Fingerprint } from '../../services/idempotency/fingerprint.js'
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

/** What a request asks for, taken before handlers and later hooks can change it. */
export interface Asked {
  print: Fingerprint
  /** Canonical JSON of the route's params. */
  params: string
}

export const kAsked = Symbol('holdfast.idempotency.asked')
export const kRun = Symbol('holdfast.idempotency.run')

declare module 'fastify' {
  interface FastifyRequest {
    /** Null on a request that is not protected, or not yet. */
    idempotency: RequestIdempotency | null
    [kAsked]?: Asked | null
    [kRun]?: Run | null
  }
  interface FastifyContextConfig {
    idempotency?: boolean | IdempotencyRouteOptions
  }
}
