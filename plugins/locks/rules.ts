import { backendRule, ttlRule, waitRule } from '../../services/locks/settings.js'
import { boolean, fn, invalidOption, isObject, isPostgresClient, isRedisClient, keyPrefix, matching, show } from '../../services/options.js'
import type { Rules } from '../../services/options.js'
import { registryRule } from '../metrics/registry.js'
import { FST_LOCKS_OPTION_INVALID } from './errors.js'
import type { LockRouteOptions, LocksOptions } from './options.js'

const statuses: unknown[] = [409, 423, 503]
/** Of a quorum, an even number bears no more failures than one less. */
const quorums = [1, 3, 5]

const routeRules: Rules<LockRouteOptions> = {
  key: fn,
  onBusy: { expected: '409, 423 or 503', accepts: (value) => statuses.includes(value) },
  wait: waitRule,
  ttl: ttlRule,
  fencing: boolean,
  backend: backendRule
}

const rules: Rules<LocksOptions> = {
  redis: { expected: 'an ioredis client, or an array of 1, 3 or 5', accepts: (value) => isRedisClient(value) || (Array.isArray(value) && quorums.includes(value.length) && value.every(isRedisClient)) },
  postgres: { expected: 'a pg.Pool or a Prisma client', accepts: isPostgresClient },
  directUrl: matching(/^postgres(ql)?:\/\/./, 'a URL of Postgres, postgres://…'),
  prefix: keyPrefix,
  closeTimeout: waitRule,
  metrics: registryRule
}

/** Throws FST_LOCKS_OPTION_INVALID. */
export function checkPluginOptions (options: LocksOptions): void {
  const problem = invalidOption(options, rules) ?? absent(options)
  if (problem !== null) throw new FST_LOCKS_OPTION_INVALID(problem)
}

function absent ({ redis, postgres, directUrl }: LocksOptions): string | null {
  if (redis === undefined && postgres === undefined) return `option \`redis\` must be ${rules.redis.expected}, unless there is \`postgres\`, got nothing`
  if (postgres === undefined) return directUrl === undefined ? null : `option \`postgres\` must be ${rules.postgres.expected} where there is \`directUrl\`, got nothing`
  return directUrl === undefined && !('options' in postgres) ? `option \`directUrl\` must be ${rules.directUrl.expected}, where \`postgres\` is no pg.Pool, got nothing` : null
}

/** Throws FST_LOCKS_OPTION_INVALID for a route config that is no lock. */
export function checkRouteConfig (config: unknown, route: string, options: LocksOptions): void {
  if (config === undefined) return
  const problem = isObject(config) ? invalidOption(config, routeRules, 'config.lock.') ?? missing(config as LockRouteOptions, options) : `option \`config.lock\` must be an object, got ${show(config)}`
  if (problem !== null) throw new FST_LOCKS_OPTION_INVALID(`route ${route}: ${problem}`)
}

function missing ({ key, fencing, backend }: Partial<LockRouteOptions>, options: LocksOptions): string | null {
  if (key === undefined) return 'option `config.lock.key` must be a function, got nothing'
  if (fencing === true && options.postgres === undefined) return 'option `config.lock.fencing` must be false where the plugin has no `postgres`, got `true` (boolean)'
  return backend !== undefined && options[backend] === undefined ? `option \`config.lock.backend\` must be a backend that the plugin has, got ${show(backend)}` : null
}
