import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'

/** How often idle connections are closed while the server drains, ms. */
const sweep = 100

/**
 * Lets `app.close()` end as soon as the last request is answered. Node closes idle connections once, when the server stops listening; one that
 * becomes idle later would hold it for the whole keep-alive timeout (72 s).
 */
const lifecycle: FastifyPluginAsync = async (fastify) => {
  let sweeper: NodeJS.Timeout | null = null
  fastify.addHook('preClose', async () => { sweeper = setInterval(() => fastify.server.closeIdleConnections(), sweep).unref() })
  fastify.addHook('onClose', async () => { if (sweeper !== null) clearInterval(sweeper) })
  fastify.addHook('onSend', (_request, reply, payload, done) => {
    if (sweeper !== null) reply.header('connection', 'close')
    done(null, payload)
  })
}

export default fp(lifecycle, { name: 'holdfast-lifecycle', fastify: '5.x' })
export { lifecycle }
