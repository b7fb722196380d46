import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { createConcurrency } from '../../services/concurrency/index.js'
import type { Concurrency } from '../../services/concurrency/index.js'
import { limitRoutes } from './limit-routes.js'
import { registryOf } from '../metrics/registry.js'
import { createMetrics } from './metrics.js'
import { defaults } from './options.js'
import type { ConcurrencyOptions, LimiterRouteOptions } from './options.js'
import { checkPluginOptions } from './rules.js'

declare module 'fastify' {
  interface FastifyInstance {
    concurrency: Concurrency
  }
  interface FastifyContextConfig {
    limiter?: string | LimiterRouteOptions | false
  }
}

/** Locks, semaphores, limiters and breakers of this process by their names in the configuration, and limits on routes. See README.md. */
const concurrency: FastifyPluginAsync<ConcurrencyOptions> = async (fastify, options) => {
  checkPluginOptions(options)
  const { redis, locks, semaphores, limiters, breakers, prefix, storeTimeout } = options
  const named = { locks: locks ?? defaults.locks, semaphores: semaphores ?? defaults.semaphores, limiters: limiters ?? defaults.limiters, breakers: breakers ?? defaults.breakers }
  const metrics = createMetrics(registryOf(fastify, options), Object.keys(named.limiters))
  const owned = createConcurrency({
    ...named,
    ...(redis === undefined ? {} : { redis }),
    prefix: prefix ?? defaults.prefix,
    storeTimeout: storeTimeout ?? defaults.storeTimeout,
    log: fastify.log.child({ plugin: 'concurrency' }),
    onRejected: metrics.rejected
  })
  const unwatch = metrics.watch(owned)
  fastify.decorate('concurrency', owned.concurrency)
  limitRoutes(fastify, owned.concurrency, options)
  fastify.addHook('preClose', async () => { owned.drain() })
  fastify.addHook('onClose', async () => {
    owned.close()
    unwatch()
  })
}

export default fp(concurrency, { name: 'holdfast-concurrency', fastify: '5.x' })
export { concurrency }
export * from './errors.js'
export type { ConcurrencyOptions, LimiterRouteOptions } from './options.js'
export type { Concurrency } from '../../services/concurrency/index.js'
export type { AsyncLock } from '../../services/concurrency/async-lock.js'
export type { BreakerOptions, BreakerState, CircuitBreaker } from '../../services/concurrency/circuit-breaker.js'
export type { LimiterOptions, Quota, RateLimitedError, RateLimiter } from '../../services/concurrency/rate-limiter.js'
export type { Debounce } from '../../services/concurrency/debounce.js'
export type { Attempt, Retry, RetryOptions } from '../../services/concurrency/retry.js'
export type { Semaphore, SemaphoreRunOptions } from '../../services/concurrency/semaphore.js'
export type { Throttle, ThrottleOptions } from '../../services/concurrency/throttle.js'
export type { RunOptions, Work } from '../../services/concurrency/work.js'
