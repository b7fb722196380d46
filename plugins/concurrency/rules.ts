import type { BreakerOptions } from '../../services/concurrency/circuit-breaker.js'
import type { LimiterOptions } from '../../services/concurrency/rate-limiter.js'
import { fn, invalidOption, isObject, isRedisClient, keyPrefix, listOf, matching, oneOf, positive, show, timer } from '../../services/options.js'
import type { Rule, Rules } from '../../services/options.js'
import { registryRule } from '../metrics/registry.js'
import { FST_CONCURRENCY_OPTION_INVALID } from './errors.js'
import type { ConcurrencyOptions, LimiterRouteOptions } from './options.js'

/** They are in headers, keys and labels. */
const name = matching(/^[\w.-]{1,64}$/, 'a name of 1 to 64 letters, digits, `_`, `.` or `-`')
const size = positive('slots')

const limiterRules: Rules<LimiterOptions> = { points: positive('points'), duration: timer, onStoreFailure: oneOf('local', 'reject') }
const breakerRules: Rules<BreakerOptions> = { threshold: positive('failures'), halfOpenAfter: timer, isFailure: fn }
const routeRules: Rules<LimiterRouteOptions> = { name, key: fn, points: positive('points') }
const aRecord: Rule = { expected: 'an object by name', accepts: isObject }

const rules: Rules<ConcurrencyOptions> = {
  locks: listOf(name),
  semaphores: aRecord,
  limiters: aRecord,
  breakers: aRecord,
  redis: { expected: 'an ioredis client', accepts: isRedisClient },
  prefix: keyPrefix,
  storeTimeout: timer,
  limiterKey: fn,
  docs: matching(/^\S+$/, 'a URI'),
  metrics: registryRule
}

/** Throws FST_CONCURRENCY_OPTION_INVALID. */
export function checkPluginOptions (options: ConcurrencyOptions): void {
  const problem = invalidOption(options, rules) ??
    namesProblem(options) ??
    semaphoreProblem(options.semaphores) ??
    nestedProblem('limiters', options.limiters, limiterRules, ['points', 'duration']) ??
    nestedProblem('breakers', options.breakers, breakerRules, ['threshold', 'halfOpenAfter'])
  if (problem !== null) throw new FST_CONCURRENCY_OPTION_INVALID(problem)
}

function namesProblem ({ semaphores = {}, limiters = {}, breakers = {} }: ConcurrencyOptions): string | null {
  for (const [option, named] of Object.entries({ semaphores, limiters, breakers })) {
    for (const key of Object.keys(named)) if (!name.accepts(key)) return `option \`${option}\` must have keys that are each ${name.expected}, got ${show(key)}`
  }
  return null
}

function semaphoreProblem (semaphores: Record<string, number> = {}): string | null {
  return invalidOption(semaphores, Object.fromEntries(Object.keys(semaphores).map((key) => [key, size])), 'semaphores.')
}

function nestedProblem (option: string, named: Record<string, object> = {}, rules: Record<string, Rule>, required: string[]): string | null {
  for (const [key, options] of Object.entries(named)) {
    const where = `${option}.${key}`
    if (!isObject(options)) return `option \`${where}\` must be an object, got ${show(options)}`
    const problem = invalidOption(options, rules, `${where}.`) ?? missingProblem(options, rules, where, required)
    if (problem !== null) return problem
  }
  return null
}

function missingProblem (options: object, rules: Record<string, Rule>, where: string, required: string[]): string | null {
  const missing = required.find((key) => (options as Record<string, unknown>)[key] === undefined)
  return missing === undefined ? null : `option \`${where}.${missing}\` must be ${rules[missing]?.expected}, got nothing`
}

/** What `config.limiter` says, or null where nothing is limited. Throws FST_CONCURRENCY_OPTION_INVALID. */
export function limiterOf (config: unknown, route: string, { limiters = {} }: ConcurrencyOptions): LimiterRouteOptions | null {
  if (config === undefined || config === false) return null
  const options = typeof config === 'string' ? { name: config } : config
  const problem = isObject(options)
    ? invalidOption(options, routeRules, 'config.limiter.') ?? missingProblem(options, routeRules, 'config.limiter', ['name']) ?? unknownProblem(options as LimiterRouteOptions, limiters)
    : `option \`config.limiter\` must be a name, an object or false, got ${show(config)}`
  if (problem !== null) throw new FST_CONCURRENCY_OPTION_INVALID(`route ${route}: ${problem}`)
  return options as LimiterRouteOptions
}

function unknownProblem ({ name, points = 1 }: LimiterRouteOptions, limiters: Record<string, LimiterOptions>): string | null {
  const limiter = Object.hasOwn(limiters, name) ? limiters[name] : undefined
  if (limiter === undefined) return `option \`config.limiter\` must name one of the limiters ${Object.keys(limiters).join(', ') || '(there is none)'}, got ${show(name)}`
  return points > limiter.points ? `option \`config.limiter.points\` must be at most what the limiter has (${limiter.points}), got ${show(points)}` : null
}
