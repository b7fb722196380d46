import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Share } from '../../../prisma/generated/client.js'
import { decodeCursor, encodeCursor } from '../../../services/shares/cursor.js'
import { createShares } from '../../../services/shares/index.js'
import type { Shares } from '../../../services/shares/index.js'
import { parseShareUrl } from '../../../services/shares/url.js'
import type { ShareUrl } from '../../../services/shares/url.js'
import { FST_API_CURSOR_INVALID, FST_API_SHARE_NOT_FOUND, FST_API_URL_INVALID, FST_API_USER_UNKNOWN } from '../errors.js'
import { NoQuery, problems } from '../schemas.js'
import { NewShareBody, PageBody, PageQuery, ShareBody, ShareParams } from './schemas.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** The URL of a new share, once it is known to be good. */
    shareUrl: Extract<ShareUrl, { ok: true }> | null
  }
}

const common = { tags: ['shares'], security: [{ bearer: [] }] }

const toBody = ({ id, url, canonicalUrl, platform, createdAt }: Share) => ({ id, url, canonicalUrl, platform, createdAt: createdAt.toISOString() })

/** The shares of the caller. */
const shares: FastifyPluginAsyncTypebox = async (fastify) => {
  const shares = createShares({ prisma: fastify.prisma })
  fastify.decorateRequest('shareUrl', null)
  fastify.addHook('onRequest', fastify.authenticate)
  await fastify.register(creating, { shares })
  await fastify.register(reading, { shares })
}

const creating: FastifyPluginAsyncTypebox<{ shares: Shares }> = async (fastify, { shares }) => {
  fastify.post('', {
    config: { limiter: 'api', idempotency: { guarantee: 'transactional', fingerprint: true } },
    schema: { ...common, summary: 'Store a share', body: NewShareBody, querystring: NoQuery, response: { 201: ShareBody, ...problems(400, 401, 429) } },
    // Before the claim, so that a URL that is refused uses up no key.
    async preHandler (request) {
      const parsed = parseShareUrl(request.body.url)
      if (!parsed.ok) throw new FST_API_URL_INVALID(parsed.reason)
      request.shareUrl = parsed
    }
  }, ({ shareUrl, user, routeOptions }, reply) => reply.transaction(async (tx) => {
    if (shareUrl === null) throw new Error('the preHandler has not run')
    const share = await shares.create(tx, user.sub, shareUrl)
    if (share === null) throw new FST_API_USER_UNKNOWN()
    return { status: 201, headers: { location: `${routeOptions.url}/${share.id}` }, body: toBody(share) }
  }))
}

const reading: FastifyPluginAsyncTypebox<{ shares: Shares }> = async (fastify, { shares }) => {
  fastify.get('', {
    config: { limiter: 'api' },
    schema: { ...common, summary: 'List your shares, newest first', querystring: PageQuery, response: { 200: PageBody, ...problems(400, 401, 429) } }
  }, async ({ query: { limit, cursor }, user }) => {
    const after = cursor === undefined ? null : decodeCursor(cursor)
    if (cursor !== undefined && after === null) throw new FST_API_CURSOR_INVALID()
    const { items, next } = await shares.list(user.sub, { limit: Number(limit), after })
    return { items: items.map(toBody), nextCursor: next === null ? null : encodeCursor(next) }
  })

  fastify.get('/:id', {
    config: { limiter: 'api' },
    schema: { ...common, summary: 'One of your shares', params: ShareParams, querystring: NoQuery, response: { 200: ShareBody, ...problems(400, 401, 404, 429) } }
  }, async ({ params: { id }, user }) => {
    const share = await shares.find(user.sub, id)
    if (share === null) throw new FST_API_SHARE_NOT_FOUND()
    return toBody(share)
  })
}

export default shares
