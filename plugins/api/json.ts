import { isUtf8 } from 'node:buffer'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { FST_API_ENCODING_UNSUPPORTED, FST_API_JSON_NOT_UTF8 } from './errors.js'

/** A charset that says UTF-8, or none: RFC 8259 §8.1 knows no other JSON. */
const utf8 = /^[^;]*(;\s*charset="?utf-8"?\s*)?$/i

/** JSON in UTF-8 is the only body: others, and compressed ones, are answered 415 instead of being misread. */
const json: FastifyPluginAsync = async (fastify) => {
  const parse = fastify.getDefaultJsonParser('error', 'error')
  fastify.removeAllContentTypeParsers()
  fastify.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const { 'content-encoding': encoding = 'identity', 'content-type': type = '' } = request.headers
    if (encoding !== 'identity' || !utf8.test(type)) return done(new FST_API_ENCODING_UNSUPPORTED())
    if (!isUtf8(body)) return done(new FST_API_JSON_NOT_UTF8())
    return parse(request, body.toString(), done)
  })
}

export default fp(json, { name: 'holdfast-json', fastify: '5.x' })
