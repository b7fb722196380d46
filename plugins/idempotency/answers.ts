import { isUtf8 } from 'node:buffer'
import { Readable } from 'node:stream'
import type { FastifyError, FastifyReply } from 'fastify'
import type { StoredResponse } from '../../services/idempotency/record.js'
import { createProblem, problemMediaType } from '../../services/problem.js'
import { titles } from './errors.js'
import type { Serialized } from './to-response.js'

/** Our own answers are sent, not thrown: a library must set no error handler, and these must be problem documents in every application. */
export function sendProblem (reply: FastifyReply, error: FastifyError, docs: string, retryAfter?: number): void {
  const status = error.statusCode ?? 500
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter)
  if (status === 401) reply.header('www-authenticate', 'Bearer')
  const problem = createProblem({ status, code: error.code, detail: error.message, title: titles[error.code], docs })
  reply.code(status).header('content-type', problemMediaType).header('cache-control', 'no-store')
  reply.serializer(asItIs).send(JSON.stringify(problem))
}

/** Sends the stored bytes. Later onSend hooks (compression, etag) run on them as they ran on the first answer. */
export function sendReplay (reply: FastifyReply, { status, headers, body }: StoredResponse, how: 'replayed' | 'coalesced'): void {
  reply.code(status).headers(headers).header('idempotent-replayed', 'true').header('idempotency-status', how)
  reply.serializer(asItIs).send(payloadOf(body, String(headers['content-type'] ?? '')))
}

/** Sends the very bytes that were stored with the work. Not when the request has been answered meanwhile, as by `handlerTimeout`. */
export function sendSerialized (reply: FastifyReply, answer: Serialized | null): void {
  if (answer === null || reply.sent) return
  reply.code(answer.status).headers(answer.sent).serializer(asItIs).send(answer.payload)
}

/** The payload was serialized when it was stored: neither a serializer that a hook has set nor the one for JSON may touch it again. */
const asItIs = (payload: unknown): string => String(payload)

const textual = /^text\/|json|xml|javascript|urlencoded|charset=/i

/** Text comes as a string again, because hooks look for one. */
function payloadOf (body: string | Uint8Array, contentType: string): string | Buffer | Readable | undefined {
  if (contentType === '') return body.length === 0 ? undefined : Readable.from(toBuffer(body)) // Fastify would add a type to anything else
  if (textual.test(contentType)) return typeof body === 'string' || !isUtf8(body) ? toPayload(body) : toBuffer(body).toString()
  return toBuffer(body)
}

function toPayload (body: string | Uint8Array): string | Buffer {
  return typeof body === 'string' ? body : toBuffer(body)
}

function toBuffer (body: string | Uint8Array): Buffer {
  return typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}
