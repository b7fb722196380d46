import jwt from '@fastify/jwt'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { FST_API_TOKEN_INVALID } from '../api/errors.js'

export interface JwtOptions {
  secret: string
  /** Life of a token, seconds. */
  expiresIn: number
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Hook of routes that need a caller: answers 401 without a valid token. */
    authenticate: (request: FastifyRequest) => Promise<void>
  }
}

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: { sub: string }
    user: { sub: string }
  }
}

const uuid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/

/** Decorates `app.jwt`, `request.user` and `app.authenticate`. */
const bearer: FastifyPluginAsync<JwtOptions> = async (fastify, { secret, expiresIn }) => {
  await fastify.register(jwt, { secret, sign: { algorithm: 'HS256', expiresIn }, verify: { algorithms: ['HS256'] } })
  fastify.decorate('authenticate', async (request: FastifyRequest) => {
    try {
      await request.jwtVerify()
    } catch (cause) {
      throw new FST_API_TOKEN_INVALID(cause instanceof Error ? cause.message : String(cause), { cause })
    }
    if (!uuid.test(request.user?.sub)) throw new FST_API_TOKEN_INVALID('its subject is not a user')
  })
}

export default fp(bearer, { name: 'holdfast-jwt', fastify: '5.x' })
