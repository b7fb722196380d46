import type { FastifyBaseLogger, FastifyInstance, FastifyPluginAsync, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { createDoubleFires } from '../../services/idempotency/double-fires.js'
import { createEngine } from '../../services/idempotency/engine.js'
import type { IdempotencyEngine } from '../../services/idempotency/engine.js'
import { createTransactions } from '../../services/idempotency/transactions.js'
import { withinTime } from '../../services/within-time.js'
import { capture } from './capture.js'
import type {} from '../lifecycle/index.js'
import { registryOf } from '../metrics/registry.js'
import { createMetrics } from './metrics.js'
import type { IdempotencyOptions } from './options.js'
import { idempotencyOf } from './run.js'
import { checkPluginOptions } from './rules.js'
import { defaults, settingsOf } from './settings.js'
import { isPostgresAlone, openStore, transactionsOf } from './store.js'
import type { TransactionAnswer } from './to-response.js'
import { transact } from './transaction.js'
import type { TransactionDeps } from './transaction.js'
import { kAsked, kRoute, kRun, kTransacted } from './types.js'
import { wireRoutes } from './wire.js'

/**
 * Answers a repeated request with the first one's response instead of running it again, when both carry the same Idempotency-Key.
 * Register it with `await`, after authentication and before the routes. See README.md.
 */
const idempotency: FastifyPluginAsync<IdempotencyOptions> = async (fastify, options) => {
  checkPluginOptions(options)
  for (const name of [kAsked, kRoute, kRun, kTransacted]) fastify.decorateRequest(name, null)
  fastify.decorateRequest('idempotency', { getter () { return idempotencyOf(this) } })
  decorateTransaction(fastify, options)
  if (options.enabled === false) return
  const log = fastify.log.child({ plugin: 'idempotency' })
  const metrics = createMetrics(registryOf(fastify, options))
  const { observer } = metrics
  fastify.addHook('onClose', async () => { metrics.close() })
  const { store, close } = await openStore(options, log, observer)
  const engine = createEngine({ store, log, observer, cache: { ...defaults.localCache, ...options.localCache }, maxWaiters: options.maxWaiters ?? defaults.maxWaiters })
  metrics.watch(engine)
  fastify.addHook('onClose', async () => {
    await engine.close()
    await close()
  })
  drainAtStop(fastify, engine, options, log)
  wireRoutes(fastify, { options, engine, observer, doubleFires: createDoubleFires({ store, engine }) })
  // Routes of a scope that was registered earlier run this hook without the decorators.
  fastify.addHook('onSend', capture)
}

/** Handlers run on when their clients have gone. A retry would run those again that the end of the process cut off. */
function drainAtStop (fastify: FastifyInstance, engine: IdempotencyEngine, { closeTimeout = defaults.closeTimeout }: IdempotencyOptions, log: FastifyBaseLogger): void {
  const unsettled = 'protected requests were still running when the server stopped'
  fastify.addHook('preClose', async () => { engine.drain() })
  if (fastify.hasDecorator('lifecycle')) {
    fastify.lifecycle.onDrain('idempotency', async (signal) => {
      if (!await engine.settled(signal)) throw new Error(unsettled)
    })
  } else {
    fastify.addHook('onClose', async () => {
      if (!await withinTime(engine.settled(), closeTimeout)) log.warn(unsettled)
    })
  }
}

function decorateTransaction (fastify: FastifyInstance, options: IdempotencyOptions): void {
  const client = transactionsOf(options)
  const deps: TransactionDeps = {
    transactions: client === null ? null : createTransactions(client),
    settingsOf: ({ routeOptions: { config } }) => settingsOf(options, config.idempotency),
    isStored: isPostgresAlone(options.store)
  }
  fastify.decorateReply('transaction', function <T> (this: FastifyReply, fn: (tx: T) => Promise<TransactionAnswer>) {
    return transact(this.request, this, (tx) => fn(tx as T), deps)
  })
}

export default fp(idempotency, { name: 'holdfast-idempotency', fastify: '5.x' })
export { idempotency }
export * from './errors.js'
export type { FingerprintWindow, IdempotencyOptions, IdempotencyRouteOptions, StoreOption } from './options.js'
export type { IdempotencyTransaction, IdempotencyTypes, ReplyTransaction, RequestIdempotency } from './types.js'
export type { TransactionAnswer } from './to-response.js'
export type { Claim, ClaimResult, Ended, Guarantee, StoredRecord, StoredResponse } from '../../services/idempotency/record.js'
export type { CacheOptions } from '../../services/idempotency/cache.js'
export type { StoredPolicy } from '../../services/idempotency/policy.js'
export type { PgLike, PrismaLike } from '../../services/database/query.js'
export type { TransactionClient } from '../../services/database/transact.js'
export type { IdempotencyStore } from '../../services/idempotency/store.js'
export { createCleanup } from '../../services/idempotency/cleanup.js'
export type { Cleanup, CleanupOptions } from '../../services/idempotency/cleanup.js'
export { createMemoryStore } from '../../services/idempotency/stores/memory.js'
