import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { createDoubleFires } from '../../services/idempotency/double-fires.js'
import { createEngine } from '../../services/idempotency/engine.js'
import { capture } from './capture.js'
import { createMetrics, registryOf } from './metrics.js'
import type { IdempotencyOptions } from './options.js'
import { checkPluginOptions } from './rules.js'
import { defaults } from './settings.js'
import { openStore } from './store.js'
import { kAsked, kRoute, kRun } from './types.js'
import { wireRoutes } from './wire.js'

/**
 * Answers a repeated request with the first one's response instead of running it again, when both carry the same Idempotency-Key.
 * Register it with `await`, after authentication and before the routes. See README.md.
 */
const idempotency: FastifyPluginAsync<IdempotencyOptions> = async (fastify, options) => {
  checkPluginOptions(options)
  for (const name of [kAsked, kRoute, kRun]) fastify.decorateRequest(name, null)
  fastify.decorateRequest('idempotency', null)
  if (options.enabled === false) return
  const log = fastify.log.child({ plugin: 'idempotency' })
  const metrics = createMetrics(registryOf(fastify, options))
  const { observer } = metrics
  fastify.addHook('onClose', async () => { metrics.close() })
  const { store, close } = await openStore(options, log, observer)
  const engine = createEngine({ store, log, observer, cache: { ...defaults.localCache, ...options.localCache }, maxWaiters: options.maxWaiters ?? defaults.maxWaiters })
  fastify.addHook('preClose', async () => { engine.drain() })
  metrics.watch(engine)
  fastify.addHook('onClose', async () => {
    await engine.close()
    await close()
  })
  wireRoutes(fastify, { options, engine, observer, doubleFires: createDoubleFires({ store, engine }) })
  // Routes of a scope that was registered earlier run this hook without the decorators.
  fastify.addHook('onSend', capture)
}

export default fp(idempotency, { name: 'holdfast-idempotency', fastify: '5.x' })
export { idempotency }
export * from './errors.js'
export type { FingerprintWindow, IdempotencyOptions, IdempotencyRouteOptions, StoreOption } from './options.js'
export type { RequestIdempotency } from './types.js'
export type { Claim, ClaimResult, Ended, Guarantee, StoredRecord, StoredResponse } from '../../services/idempotency/record.js'
export type { IdempotencyStore } from '../../services/idempotency/store.js'
export { createMemoryStore } from '../../services/idempotency/stores/memory.js'
