import { Redis } from 'ioredis'
import { idempotency } from '../../dist/plugins/idempotency/index.js'
import { openDatabase } from './database.mjs'

/** The plugin as the README registers it: defaults, but for the retention and what the variant names. */
export async function protect (fastify, { redisUrl, databaseUrl, stores, prefix, retention, options }) {
  await fastify.register(idempotency, {
    store: {
      ...(stores.includes('redis') && { redis: new Redis(redisUrl, { lazyConnect: true }) }),
      ...(stores.includes('postgres') && { postgres: openDatabase(databaseUrl).pg })
    },
    principal: () => 'merchant-1',
    prefix,
    retention,
    ...options
  })
}
