import { Redis } from 'ioredis'

/**
 * The least that an idempotency layer with two writes a request can cost: `SET NX`, then `SET` with the answer, and nothing else. It protects
 * nothing. The connection has the options that the plugin gives its own: without auto-pipelining this is several times slower.
 */
export async function protect (fastify, { redisUrl, prefix, retention }) {
  const redis = new Redis(redisUrl, { enableAutoPipelining: true })
  const keyOf = (request) => `${prefix}:${request.headers['idempotency-key']}`
  fastify.addHook('preHandler', async (request) => { await redis.set(keyOf(request), 'running', 'PX', retention, 'NX') })
  fastify.addHook('onSend', async (request, reply, payload) => { await redis.set(keyOf(request), payload, 'PX', retention) })
  fastify.addHook('onClose', async () => { redis.disconnect() })
}
