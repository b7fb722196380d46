import { isReplayable } from '../../services/idempotency/policy.js'
import { between, boolean, either, fn, invalidOption, isObject, isPostgresClient, isRedisClient, keyPrefix, listOf, longestTimer, matching, oneOf, positive, range, show, timer } from '../../services/options.js'
import type { Rule, Rules } from '../../services/options.js'
import { canTransact } from '../../services/database/transact.js'
import { registryRule } from '../metrics/registry.js'
import { FST_IDEMPOTENCY_OPTION_INVALID } from './errors.js'
import type { IdempotencyOptions, IdempotencyRouteOptions } from './options.js'
import { defaults, defined, hasPostgres } from './settings.js'
import { transactionsOf } from './store.js'

const methodName = matching(/^[A-Z]+$/, 'an upper-case HTTP method')
const replayableHeader: Rule = {
  expected: 'a lower-case header name that is not a credential or bound to one connection',
  accepts: (value) => typeof value === 'string' && /^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(value) && isReplayable(value)
}

const routeRules: Rules<IdempotencyRouteOptions> = {
  required: boolean,
  scope: either(oneOf('principal', 'public'), fn),
  lease: timer,
  retention: positive('ms'),
  maxResponseBytes: positive('bytes'),
  maxRequestBytes: positive('bytes'),
  maxKeyLength: between(1, 255, 'characters'),
  stored: either(oneOf('deterministic', 'success', 'all'), fn),
  replayHeaders: listOf(replayableHeader),
  onStoreFailure: oneOf('proceed', 'reject'),
  maxExecution: timer,
  onConcurrent: oneOf('reject', 'wait'),
  waitTimeout: timer,
  maxWaitersPerKey: positive('requests'),
  guarantee: oneOf('fast', 'mirrored', 'transactional'),
  afterCrash: oneOf('retry', 'uncertain'),
  fingerprint: either(boolean, { expected: '{ window } or { adaptive: { min, max } } in ms', accepts: isWindow })
}

/** Of the values themselves, whether written out or returned by a function. */
export const rolloutRules: Rules<{ enabled: boolean, rolloutPercent: number }> = { enabled: boolean, rolloutPercent: range(0, 100, '%') }

const rules: Rules<IdempotencyOptions> = {
  ...routeRules,
  store: { expected: '\'memory\', { redis }, { postgres }, { redis, postgres } or a store', accepts: isStoreOption },
  transactions: { expected: 'a pg.Pool or a Prisma client', accepts: (value) => isObject(value) && canTransact(value) },
  principal: fn,
  methods: listOf(methodName),
  maxWaiters: positive('requests'),
  localCache: { expected: '{ maxRecords, maxBytes }, each an integer from 0 on', accepts: isCache },
  prefix: keyPrefix,
  enabled: either(rolloutRules.enabled, fn),
  rolloutPercent: either(rolloutRules.rolloutPercent, fn),
  closeTimeout: between(0, longestTimer, 'ms'),
  docs: matching(/^\S+$/, 'a URI'),
  metrics: registryRule
}

function isCache (value: unknown): boolean {
  return isObject(value) && Object.entries(value).every(([name, limit]) => (name === 'maxRecords' || name === 'maxBytes') && Number.isSafeInteger(limit) && Number(limit) >= 0)
}

function isWindow (value: unknown): boolean {
  if (!isObject(value) || Object.keys(value).length !== 1) return false
  if ('window' in value) return isDuration(value.window)
  if (!('adaptive' in value) || !isObject(value.adaptive)) return false
  const { min, max, ...others } = value.adaptive as Record<string, unknown>
  return Object.keys(others).length === 0 && isDuration(min) && isDuration(max) && Number(min) <= Number(max)
}

function isDuration (value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) > 0
}

function isStoreOption (value: unknown): boolean {
  if (value === 'memory') return true
  if (typeof value !== 'object' || value === null) return false
  if ('claim' in value) return true
  const clients = Object.entries(value).filter(([, client]) => client !== undefined)
  return clients.length > 0 && clients.every(([name, client]) => name === 'redis' ? isRedisClient(client) : name === 'postgres' && isPostgresClient(client))
}

/** Throws FST_IDEMPOTENCY_OPTION_INVALID. */
export function checkPluginOptions (options: IdempotencyOptions): void {
  const problem = invalidOption(options, rules) ??
    (options.store === undefined ? `option \`store\` must be ${rules.store.expected}, got nothing` : null) ??
    (options.principal === undefined && options.scope !== 'public' ? 'option `principal` must be a function, unless `scope: \'public\'` is written out, got nothing' : null) ??
    livesProblem(options) ?? guaranteeProblem(options, options) ?? windowProblem(options)
  if (problem !== null) throw new FST_IDEMPOTENCY_OPTION_INVALID(problem)
}

/** Throws FST_IDEMPOTENCY_OPTION_INVALID for a route config that is neither a boolean nor route options. */
export function checkRouteConfig (config: unknown, route: string, options: IdempotencyOptions): void {
  if (config === undefined || typeof config === 'boolean') return
  const problem = typeof config === 'object' && config !== null && !Array.isArray(config)
    ? invalidOption(config, routeRules, 'config.idempotency.') ?? livesProblem({ ...options, ...defined(config) }) ?? guaranteeProblem(config, options) ?? windowProblem({ ...options, ...defined(config) })
    : `option \`config.idempotency\` must be true, false or an object, got ${show(config)}`
  if (problem !== null) throw new FST_IDEMPOTENCY_OPTION_INVALID(`route ${route}: ${problem}`)
}

/** A claim lives as long as the record would: with a shorter retention it would vanish while its lease runs. */
function livesProblem ({ lease = defaults.lease, retention = defaults.retention }: IdempotencyRouteOptions): string | null {
  return retention < lease ? `option \`retention\` must be at least \`lease\` (${lease} ms), got ${show(retention)}` : null
}

/** What needs rows of Postgres cannot be promised without it. */
function guaranteeProblem ({ guarantee }: IdempotencyRouteOptions, options: IdempotencyOptions): string | null {
  if (guarantee === undefined || guarantee === 'fast') return null
  if (!hasPostgres(options.store)) return `option \`guarantee\` must be 'fast' where the store has no postgres, got ${show(guarantee)}`
  if (guarantee === 'mirrored' || transactionsOf(options) !== null) return null
  return `option \`guarantee\` must not be 'transactional' where neither \`transactions\` nor \`store.postgres\` can open a transaction, got ${show(guarantee)}`
}

/** By their content alone, requests of different people would be taken for one. */
function windowProblem ({ fingerprint = false, scope }: IdempotencyRouteOptions): string | null {
  return fingerprint !== false && scope === 'public' ? `option \`fingerprint\` must be false where the scope is 'public', got ${show(fingerprint)}` : null
}
