import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import type { Share } from '../../../prisma/generated/client.js'
import { decodeCursor, encodeCursor } from '../../../services/shares/cursor.js'
import { createShares } from '../../../services/shares/index.js'
import { parseShareUrl } from '../../../services/shares/url.js'
import { FST_API_CURSOR_INVALID, FST_API_SHARE_NOT_FOUND, FST_API_URL_INVALID } from '../errors.js'
import { NoQuery, problems } from '../schemas.js'

const ShareBody = Type.Object({
  id: Type.String({ format: 'uuid' }),
  url: Type.String(),
  canonicalUrl: Type.String({ description: 'The URL without tracking parameters and fragment' }),
  platform: Type.String({ description: 'reddit, tiktok, youtube, instagram, x or web' }),
  createdAt: Type.String({ format: 'date-time' })
})

const PageQuery = Type.Object({
  // Text, because nothing is coerced: `limit=1e1` and `limit=0x10` are mistakes.
  limit: Type.String({ pattern: '^([1-9][0-9]?|100)$', default: '20', description: '1 to 100' }),
  cursor: Type.Optional(Type.String({ maxLength: 64, description: '`nextCursor` of the page before' }))
}, { additionalProperties: false })

const PageBody = Type.Object({ items: Type.Array(ShareBody), nextCursor: Type.Union([Type.String(), Type.Null()]) })

const toBody = ({ id, url, canonicalUrl, platform, createdAt }: Share) => ({ id, url, canonicalUrl, platform, createdAt: createdAt.toISOString() })

/** The shares of the caller. */
const shares: FastifyPluginAsyncTypebox = async (fastify) => {
  const shares = createShares({ prisma: fastify.prisma })
  const common = { tags: ['shares'], security: [{ bearer: [] }] }
  fastify.addHook('onRequest', fastify.authenticate)

  fastify.post('', {
    config: { idempotency: true },
    schema: {
      ...common,
      summary: 'Store a share',
      body: Type.Object({ url: Type.String({ minLength: 1, maxLength: 2_048 }) }, { additionalProperties: false }),
      querystring: NoQuery,
      response: { 201: ShareBody, ...problems(400, 401, 409, 422, 503) }
    }
  }, async (request, reply) => {
    const parsed = parseShareUrl(request.body.url)
    if (!parsed.ok) throw new FST_API_URL_INVALID(parsed.reason)
    const share = await shares.create(request.user.sub, parsed)
    return reply.code(201).header('location', `${request.routeOptions.url}/${share.id}`).send(toBody(share))
  })

  fastify.get('', {
    schema: { ...common, summary: 'List your shares, newest first', querystring: PageQuery, response: { 200: PageBody, ...problems(400, 401) } }
  }, async ({ query: { limit, cursor }, user }) => {
    const after = cursor === undefined ? null : decodeCursor(cursor)
    if (cursor !== undefined && after === null) throw new FST_API_CURSOR_INVALID()
    const { items, next } = await shares.list(user.sub, { limit: Number(limit), after })
    return { items: items.map(toBody), nextCursor: next === null ? null : encodeCursor(next) }
  })

  fastify.get('/:id', {
    schema: {
      ...common,
      summary: 'One of your shares',
      params: Type.Object({ id: Type.String({ format: 'uuid' }) }),
      querystring: NoQuery,
      response: { 200: ShareBody, ...problems(400, 401, 404) }
    }
  }, async ({ params: { id }, user }) => {
    const share = await shares.find(user.sub, id)
    if (share === null) throw new FST_API_SHARE_NOT_FOUND()
    return toBody(share)
  })
}

export default shares
