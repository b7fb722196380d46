import type { Transform } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Attempt } from '../../services/idempotency/attempt.js'
import type { DoubleFires } from '../../services/idempotency/double-fires.js'
import type { IdempotencyEngine } from '../../services/idempotency/engine.js'
import type { Fingerprint } from '../../services/idempotency/fingerprint.js'
import type { Layer, Observer } from '../../services/idempotency/observer.js'
import type { RunSettings } from '../../services/idempotency/settings.js'
import type { Windows } from '../../services/idempotency/windows.js'
import type { Tx } from '../../services/idempotency/transactions.js'
import type { IdempotencyRouteOptions, RouteSettings } from './options.js'
import type { Rollout } from './rollout.js'
import type { TransactionAnswer } from './to-response.js'

/**
 * To be extended by declaration merging, in a module that imports 'holdfast/idempotency':
 * `declare module 'holdfast/idempotency' { interface IdempotencyTypes { transaction: Prisma.TransactionClient } }`
 */
export interface IdempotencyTypes {}

/** What the function of a transaction gets: Prisma's transaction client or a pg.PoolClient, after the option `transactions`. */
export type IdempotencyTransaction = IdempotencyTypes extends { transaction: infer T } ? T : Tx

/**
 * Runs `fn` in a database transaction, commits what it has done together with the finished record of the request, and sends what it answers. An
 * answer that the route's `stored` does not keep, or a throw, rolls everything back. Resolves when the answer is sent: return it, and do no work
 * after it. A request that is not protected has a plain transaction.
 *
 * @throws what `fn` throws, FST_IDEMPOTENCY_TRANSACTION_UNAVAILABLE, FST_IDEMPOTENCY_TRANSACTION_REPEATED, FST_IDEMPOTENCY_ANSWER_INVALID
 */
export type ReplyTransaction = <T = IdempotencyTransaction>(fn: (tx: T) => Promise<TransactionAnswer>) => Promise<void>

/** What a handler may know of its own protection. */
export interface RequestIdempotency {
  /** The key without quotes; of layer `fingerprint` the digest that stands for it. */
  readonly key: string
  /** What recognises a duplicate of this request. */
  readonly layer: Layer
  /** Token of this attempt: random, another one for every run. */
  readonly attempt: string
  /** Aborts when the claim was lost to another attempt, or the handler runs longer than `maxExecution`: stop, somebody else does or did the work. */
  readonly signal: AbortSignal
  /** `reply.transaction`, of a request that is protected. */
  transaction: ReplyTransaction
  /** A key for a call to the outside, 64 hex digits: the same in every retry of this request, another one for every name. */
  downstreamKey: (name: string) => string
}

/** Layer 2 of a route. */
export interface Fires {
  windows: Windows
  doubleFires: DoubleFires
  settings: RunSettings
}

/** What the hooks of one protected route share. */
export interface ProtectedRoute {
  engine: IdempotencyEngine
  observer: Observer
  settings: RouteSettings
  /** Null where every request is. */
  isCovered: Rollout | null
  /** The methods that are protected, when the route has others too. */
  methods: ReadonlySet<string> | null
  url: string
  constraints: readonly string[]
  /** Null where requests without a key run as they are. */
  fires: Fires | null
  docs: string
}

/** The run of a protected request, from its claim to its record. */
export interface Run {
  attempt: Attempt
  route: ProtectedRoute
  key: string
  reply: FastifyReply
  /** What `request.idempotency` is, once it was asked for. */
  own: RequestIdempotency | null
  /** Set by whoever finishes the record first: a later hook must not touch it. */
  settled: boolean
  /** What a streamed answer goes through. */
  copy: Transform | null
}

/** What a request asks for, taken before handlers and later hooks can change it. */
export interface Asked {
  print: Fingerprint
  /** Canonical JSON of the route's params. */
  params: string
}

export const kAsked = Symbol('holdfast.idempotency.asked')
export const kRoute = Symbol('holdfast.idempotency.route')
export const kRun = Symbol('holdfast.idempotency.run')
export const kTransacted = Symbol('holdfast.idempotency.transacted')

export type Hook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void

declare module 'fastify' {
  interface FastifyRequest {
    /** Null on a request that is not protected, or not yet. */
    readonly idempotency: RequestIdempotency | null
    [kAsked]?: Asked | null
    [kRoute]?: ProtectedRoute | null
    [kRun]?: Run | null
    [kTransacted]?: boolean | null
  }
  interface FastifyReply {
    transaction: ReplyTransaction
  }
  interface FastifyContextConfig {
    idempotency?: boolean | IdempotencyRouteOptions
  }
}
