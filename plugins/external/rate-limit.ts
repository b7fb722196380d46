import rateLimit from '@fastify/rate-limit'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'

/** Counts in Redis for all instances together, on the routes that ask for it. Without Redis nothing is limited: a login must not need it. */
const limits: FastifyPluginAsync<{ prefix: string }> = async (fastify, { prefix }) => {
  await fastify.register(rateLimit, { global: false, redis: fastify.redis, nameSpace: `${prefix}:rate:`, skipOnError: true })
}

export default fp(limits, { name: 'holdfast-rate-limit', fastify: '5.x', decorators: { fastify: ['redis'] } })
