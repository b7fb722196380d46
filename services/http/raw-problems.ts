import { STATUS_CODES } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { createProblem, problemMediaType } from '../problem.js'

const statusOf: Record<string, number> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }

/** Answers what Node's HTTP parser refused, before there is a request to answer: Fastify's `clientErrorHandler`. */
export function answerClientError (error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET') return
  answerOnSocket(socket, statusOf[error.code ?? ''] ?? 400, error.code ?? 'ERR_HTTP', 'The request is not valid HTTP or took too long')
}

/** Answers what Node would answer by itself without a body, or not at all: an unknown expectation, and CONNECT. */
export function answerUnusualRequests (server: Server): void {
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    const problem = createProblem({ status: 417, code: 'ERR_HTTP_EXPECTATION', detail: 'Only the expectation 100-continue is met' })
    response.writeHead(417, { 'content-type': problemMediaType, connection: 'close' }).end(JSON.stringify(problem))
  })
  server.on('connect', (_request: IncomingMessage, socket: Socket) => {
    socket.on('error', () => { socket.destroy() }) // a client that has gone is not answered
    answerOnSocket(socket, 501, 'ERR_HTTP_CONNECT', 'This server is no proxy')
  })
}

function answerOnSocket (socket: Socket, status: number, code: string, detail: string): void {
  if (socket.destroyed) return
  const body = JSON.stringify(createProblem({ status, code, detail }))
  if (socket.writable) {
    socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${problemMediaType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`)
  }
  socket.destroySoon()
}
