import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { createEngine } from '../../services/idempotency/engine.js'
import { settle, settleUnseen } from './capture.js'
import { checkPluginOptions } from './options.js'
import type { IdempotencyOptions } from './options.js'
import { openStore } from './store.js'
import { kAsked, kRun } from './types.js'
import { wireRoutes } from './wire.js'

/**
 * Answers a repeated request with the first one's response instead of running it again, when both carry the same Idempotency-Key.
 * Register it with `await`, after authentication and before the routes. See README.md.
 */
const idempotency: FastifyPluginAsync<IdempotencyOptions> = async (fastify, options) => {
  checkPluginOptions(options)
  fastify.decorateRequest('idempotency', null)
  fastify.decorateRequest(kAsked, null)
  fastify.decorateRequest(kRun, null)
  if (options.enabled === false) return
  const { store, close } = await openStore(options, fastify.log.child({ plugin: 'idempotency' }))
  fastify.addHook('onClose', async () => { await close() })
  wireRoutes(fastify, options, createEngine({ store }))
  // Routes of a scope that was registered earlier run these hooks without the decorators.
  fastify.addHook('onSend', (request, reply, payload, done) => {
    if (!request[kRun]) return done(null, payload)
    settle(request, reply, payload).then(() => done(null, payload), done)
  })
  fastify.addHook('onResponse', (request, reply, done) => {
    if (!request[kRun]) return done()
    settleUnseen(request, reply).then(() => done(), done)
  })
}

export default fp(idempotency, { name: 'holdfast-idempotency', fastify: '5.x' })
export { idempotency }
export * from './errors.js'
export type { IdempotencyOptions, IdempotencyRouteOptions, StoreOption } from './options.js'
export type { RequestIdempotency } from './types.js'
export type { Claim, ClaimResult, StoredRecord, StoredResponse } from '../../services/idempotency/record.js'
export type { IdempotencyStore } from '../../services/idempotency/store.js'
export { createMemoryStore } from '../../services/idempotency/stores/memory.js'
