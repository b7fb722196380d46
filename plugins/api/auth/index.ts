import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { maxPasswordBytes } from '../../../services/auth/password.js'
import { createUsers } from '../../../services/auth/users.js'
import { FST_API_CREDENTIALS_INVALID } from '../errors.js'
import { NoQuery, problems } from '../schemas.js'

export interface AuthOptions {
  /** Life of a token, seconds. */
  expiresIn: number
  /** A user that is created when it does not exist: for trying out, never in production. */
  demoUser: { email: string, password: string } | null
}

const Credentials = Type.Object({
  email: Type.String({ minLength: 3, maxLength: 254, pattern: '^[^\\s\\p{Cc}]+$' }),
  // Without NUL: HMAC, which scrypt is made of, pads its key with it, so that a password and the same with NULs would be one.
  password: Type.String({ minLength: 1, maxLength: maxPasswordBytes, pattern: '^[^\\u0000]+$' })
}, { additionalProperties: false })

const Token = Type.Object({ token: Type.String(), tokenType: Type.Literal('Bearer'), expiresIn: Type.Integer({ description: 'seconds' }) })

/** `POST /login`: exchanges an e-mail address and a password for a bearer token. */
const auth: FastifyPluginAsyncTypebox<AuthOptions> = async (fastify, { expiresIn, demoUser }) => {
  const users = createUsers({ prisma: fastify.prisma })
  if (demoUser !== null) await users.ensure(demoUser.email, demoUser.password)

  fastify.post('/login', {
    config: { idempotency: false, limiter: 'login' },
    schema: { tags: ['auth'], summary: 'Log in', body: Credentials, querystring: NoQuery, response: { 200: Token, ...problems(400, 401, 429) } }
  }, async ({ body: { email, password } }, reply) => {
    const user = Buffer.byteLength(password) > maxPasswordBytes ? null : await users.verify(email, password)
    if (user === null) throw new FST_API_CREDENTIALS_INVALID()
    reply.header('cache-control', 'no-store')
    return { token: fastify.jwt.sign({ sub: user.id }), tokenType: 'Bearer' as const, expiresIn }
  })
}

export default auth
