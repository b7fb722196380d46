import { Redis } from 'ioredis'
import { idempotency } from '../../dist/plugins/idempotency/index.js'
import { openDatabase } from './database.mjs'

/** The plugin with a transaction for the handler: the record turns finished in it. */
export async function protect (fastify, { redisUrl, databaseUrl, prefix, retention }) {
  const { pg: postgres, prisma: transactions } = openDatabase(databaseUrl)
  const redis = new Redis(redisUrl, { lazyConnect: true })
  const options = { guarantee: 'transactional', transactions, principal: () => 'merchant-1', prefix, retention }
  await fastify.register(idempotency, { store: { redis, postgres }, ...options })
  return (reply, work) => reply.transaction(work)
}
