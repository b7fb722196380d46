import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { CompleteConfig } from '../../services/config/index.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** The validated environment. It holds secrets: do not log it. */
    config: CompleteConfig
  }
}

/** Decorates `app.config`. The environment itself is read in one place, `loadConfig`: plugins get what they need as options. */
const config: FastifyPluginAsync<{ config: CompleteConfig }> = async (fastify, { config }) => {
  await fastify.lifecycle.phase('config', () => { fastify.decorate('config', config) })
}

export default fp(config, { name: 'holdfast-config', fastify: '5.x', decorators: { fastify: ['lifecycle'] } })
