import { isUtf8 } from 'node:buffer'
import type { FastifyError, FastifyReply } from 'fastify'
import type { StoredResponse } from '../../services/idempotency/record.js'
import { createProblem, problemMediaType } from '../../services/problem.js'
import { titles } from './errors.js'

/** Our own answers are sent, not thrown: a library must set no error handler, and these must be problem documents in every application. */
export function sendProblem (reply: FastifyReply, error: FastifyError, docs: string, retryAfter?: number): FastifyReply {
  const status = error.statusCode ?? 500
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter)
  if (status === 401) reply.header('www-authenticate', 'Bearer')
  const problem = createProblem({ status, code: error.code, detail: error.message, title: titles[error.code], docs })
  reply.code(status).header('content-type', problemMediaType).header('cache-control', 'no-store')
  return reply.serializer(asItIs).send(JSON.stringify(problem))
}

/** Sends the stored bytes. Later onSend hooks (compression, etag) run on them as they ran on the first answer. */
export function sendReplay (reply: FastifyReply, { status, headers, body }: StoredResponse): FastifyReply {
  reply.code(status).headers(headers).header('idempotent-replayed', 'true').header('idempotency-status', 'replayed')
  return reply.serializer(asItIs).send(payloadOf(typeof body === 'string' ? Buffer.from(body) : body, String(headers['content-type'] ?? '')))
}

/** The payload was serialized when it was stored: neither a serializer that a hook has set nor the one for JSON may touch it again. */
const asItIs = (payload: unknown): string => String(payload)

const textual = /^text\/|json|xml|javascript|urlencoded|charset=/i

/** Text comes as a string again, because hooks look for one. */
function payloadOf ({ buffer, byteOffset, byteLength }: Uint8Array, contentType: string): string | Buffer | undefined {
  if (byteLength === 0 && contentType === '') return undefined
  const bytes = Buffer.from(buffer, byteOffset, byteLength)
  return textual.test(contentType) && isUtf8(bytes) ? bytes.toString() : bytes
}

/** Whole seconds, as Retry-After wants them, and never 0: that would be a retry at once. */
export function secondsOf (ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000))
}
