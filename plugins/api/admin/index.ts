import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FlagState } from '../../../services/flags/index.js'
import { FST_API_ADMIN_TOKEN_INVALID, FST_API_FLAG_CHANGED } from '../errors.js'
import { NoQuery, problems } from '../schemas.js'
import jobs from './jobs.js'
import { FlagBody, FlagChangeBody } from './schemas.js'

const common = { tags: ['admin'], security: [{ admin: [] }] }

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()

const toBody = ({ enabled, percent, revision, updatedAt }: FlagState) => ({ enabled, rolloutPercent: percent, revision, updatedAt: updatedAt?.toISOString() ?? null })

/** What operators change while the servers run. Every route wants `token` as its bearer token. */
const admin: FastifyPluginAsyncTypebox<{ token: string }> = async (fastify, { token }) => {
  const digest = sha256(token)
  const flag = fastify.idempotencyFlag
  // Digests have one length, and the time of comparing them says nothing of the token.
  fastify.addHook('onRequest', async ({ headers: { authorization = '' } }, reply) => {
    reply.header('cache-control', 'no-store')
    const [, given = ''] = /^Bearer +(.*)$/i.exec(authorization) ?? []
    if (!timingSafeEqual(sha256(given), digest)) throw new FST_API_ADMIN_TOKEN_INVALID()
  })

  fastify.get('/idempotency', {
    schema: { ...common, summary: 'The idempotency flag', querystring: NoQuery, response: { 200: FlagBody, ...problems(400, 401) } }
  }, async () => toBody(await flag.refresh()))

  fastify.put('/idempotency', {
    config: { idempotency: false }, // it needs no key, and it must work while the keys' store does not
    schema: { ...common, summary: 'Change the idempotency flag on all instances', body: FlagChangeBody, querystring: NoQuery, response: { 200: FlagBody, ...problems(400, 401, 409, 503) } }
  }, async ({ body: { enabled, rolloutPercent, revision } }) => {
    const stored = await flag.set({ enabled, percent: rolloutPercent, expectedRevision: revision }, digest.toString('hex', 0, 4))
    if (stored === null) throw new FST_API_FLAG_CHANGED()
    return toBody(stored)
  })

  await fastify.register(jobs, { prefix: '/jobs' })
}

export default admin
