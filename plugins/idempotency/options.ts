import type { FastifyRequest } from 'fastify'
import type { Cluster, Redis } from 'ioredis'
import { neverStored } from '../../services/idempotency/policy.js'
import type { StoredPolicy } from '../../services/idempotency/policy.js'
import type { IdempotencyStore } from '../../services/idempotency/store.js'
import type { PgLike, PrismaLike } from '../../services/idempotency/stores/postgres.js'
import { between, boolean, either, fn, invalidOption, listOf, matching, oneOf, positive, range, show } from '../../services/options.js'
import type { Rule, Rules } from '../../services/options.js'
import { FST_IDEMPOTENCY_OPTION_INVALID } from './errors.js'

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
   * How long a request may run before another attempt may take its key over, ms.
   * @default 30_000
   */
  lease?: number
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
   * @default 'proceed', and 'reject' on routes with `required`
   */
  onStoreFailure?: 'proceed' | 'reject'
}

export type StoreOption = 'memory' | IdempotencyStore | { redis?: Redis | Cluster, postgres?: PgLike | PrismaLike }

export interface IdempotencyOptions extends IdempotencyRouteOptions {
  /** Where records live: one of these clients, both (Postgres serves while Redis is down), `'memory'`, or a store of your own. */
  store: StoreOption
  /** A stable id of the caller, never the raw token. Needed unless `scope: 'public'` is written out. */
  principal?: (request: FastifyRequest) => string | null
  /**
   * Methods that are protected without a word in the route's config.
   * @default ['POST', 'PATCH']
   */
  methods?: string[]
  /**
   * Redis keys start with `<prefix>:`.
   * @default 'holdfast'
   */
  prefix?: string
  /**
   * False lets every request pass unprotected: for good, or, from a function that is called for every request, as long as it returns false.
   * @default true
   */
  enabled?: boolean | (() => boolean)
  /**
   * How many of the principals are protected, 0 to 100 %, in steps of 0.01; the others' requests pass. Sticky: a higher percentage only adds some.
   * A function is called for every request.
   * @default 100
   */
  rolloutPercent?: number | (() => number)
  /**
   * Base of the problem types.
   * @default '/problems/'
   */
  docs?: string
}

/** The options of one route after defaults, plugin options and route options were laid over each other. */
export type RouteSettings = Required<IdempotencyRouteOptions> & { principal: (request: FastifyRequest) => string | null }

export const defaults = Object.freeze({
  required: false,
  scope: 'principal',
  lease: 30_000,
  retention: 86_400_000,
  maxResponseBytes: 262_144,
  maxKeyLength: 255,
  stored: 'deterministic',
  replayHeaders: [],
  methods: ['POST', 'PATCH'],
  prefix: 'holdfast',
  enabled: true,
  rolloutPercent: 100,
  docs: '/problems/'
} satisfies Omit<Required<IdempotencyOptions>, 'store' | 'principal' | 'onStoreFailure'>)

const methodName = matching(/^[A-Z]+$/, 'an upper-case HTTP method')
const replayableHeader: Rule = {
  expected: 'a lower-case header name that is not a credential or bound to one connection',
  accepts: (value) => typeof value === 'string' && /^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(value) && !neverStored.has(value)
}

const routeRules: Rules<IdempotencyRouteOptions> = {
  required: boolean,
  scope: either(oneOf('principal', 'public'), fn),
  lease: positive('ms'),
  retention: positive('ms'),
  maxResponseBytes: positive('bytes'),
  maxKeyLength: between(1, 255, 'characters'),
  stored: either(oneOf('deterministic', 'success', 'all'), fn),
  replayHeaders: listOf(replayableHeader),
  onStoreFailure: oneOf('proceed', 'reject')
}

/** Of the values themselves, whether written out or returned by a function. */
export const rolloutRules: Rules<{ enabled: boolean, rolloutPercent: number }> = { enabled: boolean, rolloutPercent: range(0, 100, '%') }

const rules: Rules<IdempotencyOptions> = {
  ...routeRules,
  store: { expected: '\'memory\', { redis }, { postgres }, { redis, postgres } or a store', accepts: isStoreOption },
  principal: fn,
  methods: listOf(methodName),
  prefix: matching(/^[\w:.-]{1,64}$/, 'a string of 1 to 64 letters, digits, `_`, `:`, `.` or `-`'),
  enabled: either(rolloutRules.enabled, fn),
  rolloutPercent: either(rolloutRules.rolloutPercent, fn),
  docs: matching(/^\S+$/, 'a URI')
}

function isStoreOption (value: unknown): boolean {
  if (value === 'memory') return true
  if (typeof value !== 'object' || value === null) return false
  if ('claim' in value) return true
  const names = Object.keys(value)
  return names.length > 0 && names.every((name) => name === 'redis' || name === 'postgres') && Object.values(value).every((client) => client !== null && typeof client === 'object')
}

/** Throws FST_IDEMPOTENCY_OPTION_INVALID. */
export function checkPluginOptions (options: IdempotencyOptions): void {
  const problem = invalidOption(options, rules) ??
    (options.store === undefined ? `option \`store\` must be ${rules.store.expected}, got nothing` : null) ??
    (options.principal === undefined && options.scope !== 'public' ? 'option `principal` must be a function, unless `scope: \'public\'` is written out, got nothing' : null) ??
    livesProblem(options)
  if (problem !== null) throw new FST_IDEMPOTENCY_OPTION_INVALID(problem)
}

/** Throws FST_IDEMPOTENCY_OPTION_INVALID for a route config that is neither a boolean nor route options. */
export function checkRouteConfig (config: unknown, route: string, options: IdempotencyOptions): void {
  if (config === undefined || typeof config === 'boolean') return
  const problem = typeof config === 'object' && config !== null && !Array.isArray(config)
    ? invalidOption(config, routeRules, 'config.idempotency.') ?? livesProblem({ ...options, ...defined(config) })
    : `option \`config.idempotency\` must be true, false or an object, got ${show(config)}`
  if (problem !== null) throw new FST_IDEMPOTENCY_OPTION_INVALID(`route ${route}: ${problem}`)
}

/** A claim lives as long as the record would: with a shorter retention it would vanish while its lease runs. */
function livesProblem ({ lease = defaults.lease, retention = defaults.retention }: IdempotencyRouteOptions): string | null {
  return retention < lease ? `option \`retention\` must be at least \`lease\` (${lease} ms), got ${show(retention)}` : null
}

export function settingsOf (options: IdempotencyOptions, config: boolean | IdempotencyRouteOptions | undefined): RouteSettings {
  const merged = { ...defaults, ...defined(options), ...(typeof config === 'object' ? defined(config) : {}) }
  return {
    ...merged,
    principal: options.principal ?? (() => null),
    onStoreFailure: merged.onStoreFailure ?? (merged.required ? 'reject' : 'proceed')
  }
}

function defined<T extends object> (options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}
