import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { createLocks } from '../../services/locks/locks.js'
import { openBackends } from './backends.js'
import { createDecorator } from './decorator.js'
import { registryOf } from '../metrics/registry.js'
import { createMetrics } from './metrics.js'
import { defaults } from './options.js'
import type { LocksOptions } from './options.js'
import { checkPluginOptions } from './rules.js'
import { kRun } from './types.js'
import { wireRoutes } from './wire.js'

/**
 * Decorates `fastify.locks`, and holds the lock of `config.lock` while a route's handler runs. Register it with `await`, after the clients that it
 * is given and before the routes. See README.md.
 */
const locks: FastifyPluginAsync<LocksOptions> = async (fastify, given) => {
  checkPluginOptions(given)
  const options = { ...given, prefix: given.prefix ?? defaults.prefix, closeTimeout: given.closeTimeout ?? defaults.closeTimeout }
  const log = fastify.log.child({ plugin: 'locks' })
  const metrics = createMetrics(registryOf(fastify, options))
  const { redis, backends, nextToken } = await openBackends(options, log)
  const service = createLocks({ backends, nextToken, log, observer: metrics.observer })
  const unwatch = metrics.watch(service)
  const decorator = createDecorator({ locks: service, redis, options, log })
  fastify.addHook('preClose', async () => { service.drain() })
  fastify.addHook('onClose', async () => { // before what may throw: a boot that fails closes it too
    await service.close(options.closeTimeout)
    unwatch()
    for (const backend of backends) await backend.close()
  })
  fastify.decorate('locks', decorator)
  fastify.decorateRequest(kRun, null)
  fastify.decorateRequest('lock', { getter () { return this[kRun]?.grant ?? null } })
  wireRoutes(fastify, { options, locks: decorator })
}

export default fp(locks, { name: 'holdfast-locks', fastify: '5.x' })
export { locks }
export * from './errors.js'
export { assertFenced } from '../../services/locks/postgres/fencing.js'
export type { LockRouteOptions, LocksOptions } from './options.js'
export type { AppLocks } from './types.js'
export type { Grant } from '../../services/locks/grant.js'
export type { Locks, Names, Routine } from '../../services/locks/locks.js'
export type { AdvisoryLocks, AdvisoryOptions, TryLock } from '../../services/locks/postgres/advisory.js'
export type { PgLike, PgTransactionLike, PostgresClient, PrismaLike, Transaction } from '../../services/database/query.js'
export type { TransactionLock } from '../../services/locks/postgres/transaction.js'
export type { Force, ForcedRelease, HeldLock, Registry } from '../../services/locks/postgres/registry.js'
export type { LockOptions } from '../../services/locks/settings.js'
