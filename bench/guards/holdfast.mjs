import { Redis } from 'ioredis'
import { idempotency } from '../../dist/plugins/idempotency/index.js'

/** The plugin as the README registers it: defaults, but for the retention. */
export async function protect (fastify, { redisUrl, prefix, retention }) {
  const redis = new Redis(redisUrl, { lazyConnect: true })
  await fastify.register(idempotency, { store: { redis }, principal: () => 'merchant-1', prefix, retention })
}
