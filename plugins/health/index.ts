import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { invalidOption, routePath } from '../../services/options.js'
import type { Rules } from '../../services/options.js'
import type {} from '../concurrency/index.js'
import type {} from '../lifecycle/index.js'
import { FST_HEALTH_OPTION_INVALID } from './errors.js'

export interface HealthOptions {
  /**
   * Where the routes are.
   * @default '/health'
   */
  path?: string
}

const rules: Rules<HealthOptions> = { path: routePath }

/**
 * `GET /health/live`: 200 while the process serves at all. `GET /health/ready`: 200 when every phase of the plugin holdfast/lifecycle that is not optional
 * is ready, else 503; 503 also from the moment the server begins to stop. It lists the breakers of the plugin holdfast/concurrency too: one that is not closed degrades the
 * service, and what it stands in front of has a phase of its own to say whether it is needed.
 */
const health: FastifyPluginAsync<HealthOptions> = async (fastify, options) => {
  const problem = invalidOption(options, rules)
  if (problem !== null) throw new FST_HEALTH_OPTION_INVALID(problem)
  const { path = '/health' } = options
  let draining = false
  fastify.addHook('preClose', async () => { draining = true })
  fastify.get(`${path}/live`, { logLevel: 'warn', schema: { tags: ['health'], summary: 'Whether the process serves' } }, async () => ({ status: 'ok' }))
  fastify.get(`${path}/ready`, { logLevel: 'warn', schema: { tags: ['health'], summary: 'Whether requests should be sent here' } }, async (_request, reply) => {
    const lifecycle = fastify.hasDecorator('lifecycle') ? fastify.lifecycle : null
    const phases = await lifecycle?.report() ?? []
    const closing = draining || lifecycle?.stopping.aborted === true
    const able = !closing && phases.every(({ state, optional }) => optional || state === 'ready')
    const breakers = fastify.hasDecorator('concurrency') ? fastify.concurrency.breakers() : {}
    const whole = phases.every(({ state }) => state === 'ready') && Object.values(breakers).every((state) => state === 'closed')
    reply.code(able ? 200 : 503).header('cache-control', 'no-store')
    return { status: closing ? 'closing' : !able ? 'unavailable' : whole ? 'ready' : 'degraded', phases, breakers }
  })
}

export default fp(health, { name: 'holdfast-health', fastify: '5.x' })
export { health }
export * from './errors.js'
