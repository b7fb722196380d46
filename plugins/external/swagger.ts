import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'

/** The OpenAPI document of all routes declared after it, and its page at `/documentation`. */
const documentation: FastifyPluginAsync<{ version: string }> = async (fastify, { version }) => {
  await fastify.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Holdfast reference API', description: 'A share sent twice is stored once.', version },
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          admin: { type: 'http', scheme: 'bearer', description: 'ADMIN_TOKEN of the server' }
        }
      }
    }
  })
  await fastify.register(swaggerUi, { routePrefix: '/documentation' })
}

export default fp(documentation, { name: 'holdfast-swagger', fastify: '5.x' })
