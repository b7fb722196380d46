import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type { FastifyReply } from 'fastify'

/** By its tag, as Fastify does: the class may be that of a package. */
export function isResponse (payload: object): payload is Response {
  return Object.prototype.toString.call(payload) === '[object Response]'
}

/** Does what Fastify would do after the onSend hooks: the status and the headers of a web Response become the reply's. Returns its body. */
export function unwrap (reply: FastifyReply, response: Response): object | null {
  if (response.bodyUsed) return response // Fastify says what is wrong
  reply.code(response.status)
  for (const [name, value] of response.headers) reply.header(name, value)
  return response.body
}

/** Null for what is no stream, or one that somebody else reads. */
export function toReadable (body: object): Readable | null {
  if (isNodeStream(body)) return body
  return isWebStream(body) && !body.locked ? Readable.fromWeb(body) : null
}

function isNodeStream (body: object): body is Readable {
  return 'pipe' in body && typeof body.pipe === 'function'
}

function isWebStream (body: object): body is ReadableStream {
  return 'getReader' in body && typeof body.getReader === 'function'
}
