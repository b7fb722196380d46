import type { FastifyReply } from 'fastify'
import { storedHeaders } from '../../services/idempotency/policy.js'
import type { StoredResponse } from '../../services/idempotency/record.js'
import { FST_IDEMPOTENCY_ANSWER_INVALID } from './errors.js'

/** What the function of a transaction answers. */
export interface TransactionAnswer {
  status: number
  headers?: Record<string, string | string[]>
  /** Serialized as `reply.send` would: by the route's response schema, text and bytes as they are. */
  body?: unknown
}

export interface Serialized extends StoredResponse {
  /** Undefined: no body at all. */
  payload: string | Buffer | undefined
  /** All headers of the answer, not only those that are kept. */
  sent: Record<string, string | string[]>
}

/** The bytes and headers that Fastify's `reply.send` would make of the answer (lib/reply.js), before they are sent. */
export function toResponse (reply: FastifyReply, answer: TransactionAnswer, replayHeaders: string[]): Serialized {
  check(answer)
  const sent = lowerCased(answer.headers ?? {})
  const given = sent['content-type'] ?? reply.getHeader('content-type')
  const { payload, contentType } = serialize(reply, answer, given === undefined ? undefined : String(given))
  if (contentType !== undefined) sent['content-type'] = contentType
  const headers = storedHeaders({ getHeader: (name) => sent[name] ?? reply.getHeader(name) }, replayHeaders)
  return { status: answer.status, headers, body: payload ?? '', payload, sent }
}

function check (answer: unknown): void {
  const { status, body } = (typeof answer === 'object' && answer !== null ? answer : {}) as Partial<TransactionAnswer>
  if (!Number.isInteger(status) || Number(status) < 200 || Number(status) > 599) throw new FST_IDEMPOTENCY_ANSWER_INVALID('a status from 200 to 599')
  if (isStream(body)) throw new FST_IDEMPOTENCY_ANSWER_INVALID('a body whose bytes are there, and no stream')
}

function isStream (body: unknown): boolean {
  return typeof body === 'object' && body !== null && (body instanceof Response || 'pipe' in body || 'getReader' in body)
}

function lowerCased (headers: Record<string, string | string[]>): Record<string, string | string[]> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

interface Payload {
  payload: string | Buffer | undefined
  contentType: string | undefined
}

function serialize (reply: FastifyReply, { status, body }: TransactionAnswer, given: string | undefined): Payload {
  if (body === undefined) return { payload: undefined, contentType: given }
  if (ArrayBuffer.isView(body)) return { payload: toBuffer(body), contentType: given ?? 'application/octet-stream' }
  if (typeof body === 'string') return { payload: body, contentType: withCharset(given ?? 'text/plain; charset=utf-8') }
  const contentType = withCharset(given ?? 'application/json')
  return { payload: serializeData(reply, status, contentType, body), contentType }
}

function toBuffer ({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}

function withCharset (contentType: string): string {
  return /^[^;]*json/i.test(contentType) && !/charset=/i.test(contentType) ? `${contentType}; charset=utf-8` : contentType
}

/** Serializers look at the status of the reply. It is put back, because Fastify would send an error that comes later with it. */
function serializeData (reply: FastifyReply, status: number, contentType: string, body: unknown): string | Buffer {
  const before = reply.statusCode
  reply.code(status)
  try {
    const serializer = byMediaType(reply, status, contentType) ?? ((data) => reply.serialize(data))
    const payload: unknown = serializer(body as Record<string, unknown>)
    return ArrayBuffer.isView(payload) ? toBuffer(payload) : String(payload)
  } finally {
    reply.code(before)
  }
}

/** Of a schema with `content`, which `reply.serialize` does not know. */
function byMediaType (reply: FastifyReply, status: number, contentType: string): ((data: Record<string, unknown>) => string) | undefined {
  const [mediaType = ''] = contentType.toLowerCase().split(/\s*;/, 1)
  const schema = [String(status), `${String(status)[0]}xx`, 'default'].find((name) => reply.getSerializationFunction(name) !== undefined)
  if (schema === undefined || typeof reply.getSerializationFunction(schema) === 'function') return undefined
  return reply.getSerializationFunction(schema, mediaType) ?? reply.getSerializationFunction(schema, '*/*') ?? JSON.stringify
}
