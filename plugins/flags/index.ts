import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { createFlag } from '../../services/flags/index.js'
import type { Flag, FlagOptions } from '../../services/flags/index.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether requests are protected by idempotency, and for how many of the users. */
    idempotencyFlag: Flag
  }
}

/** Decorates `app.idempotencyFlag`. The boot fails when it cannot be read: nobody may be served with a protection that was switched off, or without one. */
const flags: FastifyPluginAsync<Pick<FlagOptions, 'defaults'>> = async (fastify, { defaults }) => {
  const flag = createFlag({ postgres: fastify.pg, name: 'idempotency', defaults, log: fastify.log.child({ plugin: 'flags' }) })
  fastify.decorate('idempotencyFlag', flag)
  fastify.addHook('onClose', async () => { await flag.close() })
  await flag.start()
}

export default fp(flags, { name: 'holdfast-flags', fastify: '5.x', decorators: { fastify: ['pg'] } })
