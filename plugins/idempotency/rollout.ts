import type { FastifyRequest } from 'fastify'
import { headerLines, parseKey } from '../../services/idempotency/key.js'
import { isRolledOut } from '../../services/idempotency/rollout.js'
import { show } from '../../services/options.js'
import { FST_IDEMPOTENCY_OPTION_INVALID } from './errors.js'
import type { IdempotencyOptions, RouteSettings } from './options.js'
import { rolloutRules } from './rules.js'
import { defaults } from './settings.js'

/** Whether a request is protected at all. Asked anew for each, so that a change holds at once. */
export type Rollout = (request: FastifyRequest, settings: RouteSettings) => boolean

/** Null when every request is protected, for good. Throws FST_IDEMPOTENCY_OPTION_INVALID, in the request, when a function returns what the option itself may not be. */
export function createRollout ({ enabled = defaults.enabled, rolloutPercent = defaults.rolloutPercent }: Pick<IdempotencyOptions, 'enabled' | 'rolloutPercent'>): Rollout | null {
  if (enabled === true && rolloutPercent === 100) return null
  return (request, settings) => {
    const now = {
      enabled: typeof enabled === 'function' ? enabled() : enabled,
      rolloutPercent: typeof rolloutPercent === 'function' ? rolloutPercent() : rolloutPercent
    }
    check('enabled', now.enabled)
    check('rolloutPercent', now.rolloutPercent)
    if (!now.enabled || now.rolloutPercent === 0) return false
    return now.rolloutPercent === 100 || isRolledOut(subjectOf(request, settings), now.rolloutPercent)
  }
}

function check (name: keyof typeof rolloutRules, value: unknown): void {
  const { expected, accepts } = rolloutRules[name]
  if (!accepts(value)) throw new FST_IDEMPOTENCY_OPTION_INVALID(`option \`${name}\` must return ${expected}, got ${show(value)}`)
}

/** Who is in or out: the principal, the scope of a function, the key of a public route. All that have none are one subject. */
function subjectOf (request: FastifyRequest, { scope, principal, maxKeyLength }: RouteSettings): string {
  if (typeof scope === 'function') return scope(request)
  if (scope === 'principal') return principal(request) ?? ''
  const parsed = parseKey(headerLines(request.raw.rawHeaders, 'idempotency-key'), maxKeyLength)
  return parsed.ok ? parsed.key : ''
}
