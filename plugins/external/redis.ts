import { once } from 'node:events'
import fastifyRedis from '@fastify/redis'
import type { FastifyRedis } from '@fastify/redis'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { Redis } from 'ioredis'
import { withoutCommand } from '../../services/redis/error.js'

export interface RedisOptions {
  url: string
  /** How long the boot waits for Redis, ms. Default: 2,000. */
  startTimeout?: number
}

/** Decorates `app.redis`. Redis is an optional phase: Postgres can do its work, so the boot goes on without it and it is used when it comes. */
const redis: FastifyPluginAsync<RedisOptions> = async (fastify, { url, startTimeout = 2_000 }) => {
  const client = new Redis(url, { maxRetriesPerRequest: 1, enableOfflineQueue: false, commandTimeout: 1_000, retryStrategy: (times) => Math.min(times * 50, 1_000) })
  client.on('error', (err) => fastify.log.warn({ err: withoutCommand(err) }, 'the Redis connection broke'))
  const connected = async (signal: AbortSignal): Promise<void> => { if (client.status !== 'ready') await once(client, 'ready', { signal }) }
  await fastify.lifecycle.phase('redis', connected, { optional: true, after: ['config'], timeout: startTimeout, probe: () => client.ping() })
  // @fastify/redis waits until its client is ready, for ever if need be: a client that is not is decorated here.
  if (client.status === 'ready') await fastify.register(fastifyRedis, { client })
  else fastify.decorate('redis', client as unknown as FastifyRedis)
  fastify.addHook('onClose', async () => { client.disconnect() })
}

export default fp(redis, { name: 'holdfast-redis', fastify: '5.x', decorators: { fastify: ['lifecycle'] } })
