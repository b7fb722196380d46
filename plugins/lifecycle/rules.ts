import { between, boolean, invalidOption, longestTimer } from '../../services/options.js'
import type { Rules } from '../../services/options.js'
import { registryRule } from '../metrics/registry.js'
import { FST_LIFECYCLE_OPTION_INVALID } from './errors.js'
import { resolveOptions } from './options.js'
import type { LifecycleOptions, ResolvedOptions } from './options.js'

const duration = between(0, longestTimer, 'ms')

const rules: Rules<LifecycleOptions> = {
  deadline: between(100, longestTimer, 'ms'),
  signals: boolean,
  preStopDelay: duration,
  abortGrace: duration,
  upgradeGrace: duration,
  metrics: registryRule
}

/**
 * The options with their defaults. Throws FST_LIFECYCLE_OPTION_INVALID.
 * @param pluginTimeout of Fastify, ms, which cuts off a preClose hook; 0 is none
 */
export function checkOptions (given: LifecycleOptions, pluginTimeout: number): ResolvedOptions {
  const problem = invalidOption(given, rules)
  if (problem !== null) throw new FST_LIFECYCLE_OPTION_INVALID(problem)
  const options = resolveOptions(given)
  const { deadline, preStopDelay, abortGrace, signals } = options
  if (!signals && pluginTimeout > 0 && preStopDelay >= pluginTimeout) throw new FST_LIFECYCLE_OPTION_INVALID(`option \`preStopDelay\` must be shorter than Fastify's \`pluginTimeout\` (${pluginTimeout} ms) without \`signals\`, got \`${preStopDelay}\` (number)`)
  if (preStopDelay + abortGrace < deadline) return options
  throw new FST_LIFECYCLE_OPTION_INVALID(`option \`deadline\` must be longer than \`preStopDelay\` and \`abortGrace\` together (${preStopDelay + abortGrace} ms), got \`${deadline}\` (number)`)
}
