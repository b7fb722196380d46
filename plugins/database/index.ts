import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { Pool } from 'pg'
import { createDatabase } from '../../services/database/index.js'
import type { Database, DatabaseOptions } from '../../services/database/index.js'

declare module 'fastify' {
  interface FastifyInstance {
    prisma: Database['prisma']
    /** The pool that Prisma uses too. */
    pg: Pool
  }
}

/** Decorates `app.prisma` and `app.pg`. The boot waits for a server that is starting, fails at once on a wrong password, and migrates. */
const database: FastifyPluginAsync<Omit<DatabaseOptions, 'log'>> = async (fastify, options) => {
  const { prisma, pg, connect, migrate, close } = createDatabase({ ...options, log: fastify.log.child({ plugin: 'database' }) })
  fastify.decorate('prisma', prisma).decorate('pg', pg)
  fastify.addHook('onClose', close)
  await fastify.lifecycle.phase('database', connect, { after: ['config'], probe: () => pg.query('SELECT 1') })
  await fastify.lifecycle.phase('migrations', migrate, { after: ['database'] })
}

export default fp(database, { name: 'holdfast-database', fastify: '5.x', decorators: { fastify: ['lifecycle'] } })
