import { between, invalidOption, isObject, isRedisClient, keyPrefix, longestTimer } from '../../services/options.js'
import type { Rules } from '../../services/options.js'
import { checkClient } from '../../services/scheduler/queues.js'
import { registryRule } from '../metrics/registry.js'
import { FST_SCHEDULER_OPTION_INVALID } from './errors.js'
import type { SchedulerOptions } from './options.js'

const roles: unknown[] = ['web', 'worker']

const rules: Rules<SchedulerOptions> = {
  redis: { expected: 'an ioredis client', accepts: isRedisClient },
  postgres: { expected: 'a pg.Pool', accepts: (value) => isObject(value) && 'connect' in value && 'query' in value },
  prefix: keyPrefix,
  roles: { expected: "an array of 'web', 'worker' or both", accepts: (value) => Array.isArray(value) && value.length > 0 && value.every((role) => roles.includes(role)) },
  /** More often would be a load, and no run would start sooner. */
  tick: between(100, longestTimer, 'ms'),
  concurrency: between(1, 10_000, 'runs'),
  lease: between(1_000, longestTimer, 'ms'),
  retention: between(60_000, 3_660 * 86_400_000, 'ms'),
  closeTimeout: between(0, longestTimer, 'ms'),
  metrics: registryRule
}

/** @throws FST_SCHEDULER_OPTION_INVALID, FST_SCHEDULER_KEY_PREFIX */
export function checkPluginOptions (options: SchedulerOptions): void {
  const problem = invalidOption(options, rules) ?? absent(options)
  if (problem !== null) throw new FST_SCHEDULER_OPTION_INVALID(problem)
  checkClient(options.redis)
}

function absent (options: Partial<SchedulerOptions>): string | null {
  const name = (['redis', 'postgres'] as const).find((name) => options[name] === undefined)
  return name === undefined ? null : `option \`${name}\` must be ${rules[name].expected}, got nothing`
}
