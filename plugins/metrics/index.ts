import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client'
import { invalidOption, routePath } from '../../services/options.js'
import type { Rules } from '../../services/options.js'
import { FST_METRICS_OPTION_INVALID } from './errors.js'

export interface MetricsOptions {
  /**
   * Where the metrics are.
   * @default '/metrics'
   */
  path?: string
}

declare module 'fastify' {
  interface FastifyInstance {
    /** The registry that `/metrics` shows. Plugins add their own metrics to it. */
    metrics: Registry
  }
}

const rules: Rules<MetricsOptions> = { path: routePath }

/** `GET /metrics` in the Prometheus text format: the process, and `http_request_duration_seconds` by method, route and status code. */
const metrics: FastifyPluginAsync<MetricsOptions> = async (fastify, options) => {
  const problem = invalidOption(options, rules)
  if (problem !== null) throw new FST_METRICS_OPTION_INVALID(problem)
  const { path = '/metrics' } = options
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the first byte of a request to the last byte of its answer',
    labelNames: ['method', 'route', 'status_code'],
    registers: [registry]
  })
  fastify.decorate('metrics', registry)
  fastify.addHook('onResponse', async (request, reply) => {
    duration.observe({ method: request.method, route: request.routeOptions.url ?? 'unknown', status_code: reply.statusCode }, reply.elapsedTime / 1_000)
  })
  fastify.get(path, { logLevel: 'warn', schema: { tags: ['metrics'], summary: 'Metrics in the Prometheus text format' } }, async (_request, reply) => {
    reply.header('content-type', registry.contentType)
    return await registry.metrics()
  })
}

export default fp(metrics, { name: 'holdfast-metrics', fastify: '5.x' })
export { metrics }
export * from './errors.js'
