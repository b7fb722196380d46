import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'
import type { Rule } from '../../services/options.js'

/** The registry of a plugin's `metrics` option, or that of holdfast/metrics. Other plugins decorate `metrics` too, with other things. */
export function registryOf (fastify: FastifyInstance, { metrics = fastify.hasDecorator('metrics') ? fastify.metrics : false }: { metrics?: Registry | false }): Registry | null {
  return isRegistry(metrics) ? metrics : null
}

export function isRegistry (value: unknown): value is Registry {
  return typeof value === 'object' && value !== null && 'registerMetric' in value && 'getSingleMetric' in value
}

export const registryRule: Rule = { expected: 'false or a prom-client Registry', accepts: (value) => value === false || isRegistry(value) }

/**
 * Makes the instruments of a plugin once a registry, which takes each name once and may be shared by the applications of a process; anew after it was
 * cleared, which is seen by one of their names.
 */
export function instrumentsBy<T> (name: string, create: (registry: Registry) => T): (registry: Registry) => T {
  const known = new WeakMap<Registry, T>()
  return (registry) => {
    const found = registry.getSingleMetric(name) === undefined ? undefined : known.get(registry)
    const instruments = found ?? create(registry)
    known.set(registry, instruments)
    return instruments
  }
}

/** Adds an instance to those that gauges show. Returns what takes it out again. */
export function watchIn<T> (sources: Set<T>): (source: T) => () => void {
  return (source) => {
    sources.add(source)
    return () => { sources.delete(source) }
  }
}
