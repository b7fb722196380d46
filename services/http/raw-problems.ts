import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { createProblem, problemMediaType } from '../problem.js'

const statusOf: Record<string, number> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }

/** Answers what Node's HTTP parser refused, before there is a request to answer: Fastify's `clientErrorHandler`. */
export function answerClientError (error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const status = statusOf[error.code ?? ''] ?? 400
  const body = JSON.stringify(createProblem({ status, code: error.code ?? 'ERR_HTTP', detail: 'The request is not valid HTTP or took too long' }))
  if (socket.writable) {
    socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${problemMediaType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`)
  }
  socket.destroySoon()
}
