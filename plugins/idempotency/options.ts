import type { FastifyRequest } from 'fastify'
import type { Cluster, Redis } from 'ioredis'
import type { Registry } from 'prom-client'
import type { CacheOptions } from '../../services/idempotency/cache.js'
import type { StoredPolicy } from '../../services/idempotency/policy.js'
import type { Guarantee } from '../../services/idempotency/record.js'
import type { RunSettings } from '../../services/idempotency/settings.js'
import type { IdempotencyStore } from '../../services/idempotency/store.js'
import type { TransactionClient } from '../../services/database/transact.js'
import type { PgLike, PrismaLike } from '../../services/database/query.js'

/** What a route may set for itself in `config: { idempotency: … }`. */
export interface IdempotencyRouteOptions {
  /**
   * Refuse requests without a key, with 400.
   * @default false
   */
  required?: boolean
  /**
   * What a key belongs to besides method, route and params: the principal, everybody, or what the function returns.
   * @default 'principal'
   */
  scope?: 'principal' | 'public' | ((request: FastifyRequest) => string)
  /**
   * How long the claim of a process that died keeps its key, ms. While the handler runs the lease is extended.
   * @default 30_000
   */
  lease?: number
  /**
   * For how long the lease of a handler is extended, ms. After that its key can be taken over.
   * @default 600_000
   */
  maxExecution?: number
  /**
   * How long a finished record is replayed, from its completion, ms.
   * @default 86_400_000
   */
  retention?: number
  /**
   * A larger response body is not kept: a retry is answered 409. Bytes.
   * @default 262_144
   */
  maxResponseBytes?: number
  /**
   * A request with a key and a larger body is answered 413, before anything is hashed or claimed. Bytes: of the body as sent, or of its canonical JSON
   * where its length was not declared or it was compressed.
   * @default 1_048_576
   */
  maxRequestBytes?: number
  /**
   * Characters of a key at most, without quotes.
   * @default 255
   */
  maxKeyLength?: number
  /**
   * Which answers are kept: a preset, or a function of the status code. The others give the key back.
   * @default 'deterministic'
   */
  stored?: StoredPolicy
  /**
   * Response headers that a replay sends besides the standard ones.
   * @default []
   */
  replayHeaders?: string[]
  /**
   * When no store can be had: run the request unprotected, or answer 503.
   * @default 'proceed', and 'reject' on routes with `required` and with the guarantee 'transactional'
   */
  onStoreFailure?: 'proceed' | 'reject'
  /**
   * What a duplicate of a running request gets: 409 at once, or the answer of the running one.
   * @default 'reject'
   */
  onConcurrent?: 'reject' | 'wait'
  /**
   * How long a duplicate waits before it is answered 409 all the same, ms.
   * @default 10_000
   */
  waitTimeout?: number
  /**
   * Duplicates of one key that wait in one process at most; the others are answered 409 at once.
   * @default 100
   */
  maxWaitersPerKey?: number
  /**
   * How surely a finished request is remembered when Redis loses its memory: docs/guarantees.md.
   * @default 'mirrored' where the store has Redis and Postgres, else 'fast'
   */
  guarantee?: Guarantee
  /**
   * After the process of a request died: run a retry, or answer it 409 for ever, because what was done is not known.
   * @default 'retry'
   */
  afterCrash?: 'retry' | 'uncertain'
  /**
   * Recognise a double fire without a key, by its content: the second of two equal requests of one principal that start within the window gets
   * the answer of the first. `true` means a window of 100 ms.
   * @default false
   */
  fingerprint?: boolean | FingerprintWindow
}

export type FingerprintWindow =
  /** ms, from start to start */
  | { window: number }
  /** Learned for each principal from the gaps between its double fires, within these bounds, ms. */
  | { adaptive: { min: number, max: number } }

export type StoreOption = 'memory' | IdempotencyStore | { redis?: Redis | Cluster, postgres?: PgLike | PrismaLike }

export interface IdempotencyOptions extends IdempotencyRouteOptions {
  /** Where records live: one of these clients, both (Postgres serves while Redis is down), `'memory'`, or a store of your own. */
  store: StoreOption
  /**
   * Opens the transactions of `reply.transaction`: a pg.Pool or a Prisma client of the database that `store.postgres` is in.
   * @default store.postgres
   */
  transactions?: TransactionClient
  /** A stable id of the caller, never the raw token. Needed unless `scope: 'public'` is written out. */
  principal?: (request: FastifyRequest) => string | null
  /**
   * Methods that are protected without a word in the route's config.
   * @default ['POST', 'PATCH']
   */
  methods?: string[]
  /**
   * Duplicates that wait in one process at most, of all keys; the others are answered 409 at once.
   * @default 1_000
   */
  maxWaiters?: number
  /**
   * Bounds of the finished records that a process keeps in memory to replay them without asking the store. 0 keeps none.
   * @default { maxRecords: 10_000, maxBytes: 33_554_432 }
   */
  localCache?: Partial<CacheOptions>
  /**
   * Redis keys start with `<prefix>:`.
   * @default 'holdfast'
   */
  prefix?: string
  /**
   * False lets every request pass unprotected. A function is asked for every request.
   * @default true
   */
  enabled?: boolean | (() => boolean)
  /**
   * How many principals in a hundred are protected: always the same ones, and with a higher percentage those and others. A function is asked for
   * every request.
   * @default 100
   */
  rolloutPercent?: number | (() => number)
  /**
   * How long a stop waits for async handlers whose clients have gone, ms: no server waits for those. With holdfast/lifecycle registered before it is until shortly
   * before its deadline.
   * @default 20_000
   */
  closeTimeout?: number
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

/** The options of one route after defaults, plugin options and route options were laid over each other. */
export interface RouteSettings extends RunSettings {
  required: boolean
  scope: 'principal' | 'public' | ((request: FastifyRequest) => string)
  principal: (request: FastifyRequest) => string | null
  maxResponseBytes: number
  maxRequestBytes: number
  maxKeyLength: number
  stored: StoredPolicy
  replayHeaders: string[]
  onStoreFailure: 'proceed' | 'reject'
  fingerprint: FingerprintWindow | null
}
