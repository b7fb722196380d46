import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'

/** The registry of a plugin's `metrics` option, or that of holdfast/metrics. Other plugins decorate `metrics` too, with other things. */
export function registryOf (fastify: FastifyInstance, { metrics = fastify.hasDecorator('metrics') ? fastify.metrics : false }: { metrics?: Registry | false }): Registry | null {
  return isRegistry(metrics) ? metrics : null
}

export function isRegistry (value: unknown): value is Registry {
  return typeof value === 'object' && value !== null && 'registerMetric' in value && 'getSingleMetric' in value
}
