import type { FastifyError, FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { isTransient } from '../../services/database/errors.js'
import { createAllowedMethods } from '../../services/http/allowed-methods.js'
import { exceedsDepth } from '../../services/json/depth.js'
import { createProblem, problemMediaType } from '../../services/problem.js'
import * as errors from './errors.js'

/** Levels of a JSON body at most. What recurses over a body overflows at some 5,000, which fit in 10 KB. */
const maxDepth = 64

/** Every error of the application becomes a problem document (RFC 9457): no stack, no message of an unexpected error. */
const problems: FastifyPluginAsync<{ docs: string }> = async (fastify, { docs }) => {
  fastify.setErrorHandler((error, request, reply) => { sendError(toFastifyError(error), request, reply, docs) })
  fastify.addHook('onRequest', async ({ raw: { httpVersion }, headers: { host } }) => {
    if (httpVersion === '1.1' && host === undefined) throw new errors.FST_API_HOST_MISSING()
  })
  fastify.addHook('preValidation', async ({ body }) => {
    if (exceedsDepth(body, maxDepth)) throw new errors.FST_API_JSON_TOO_DEEP(maxDepth)
  })
  answerUnknownRoutes(fastify)
}

function answerUnknownRoutes (fastify: FastifyInstance): void {
  const allowed = createAllowedMethods()
  fastify.addHook('onRoute', ({ url, method }) => allowed.add(url, [method].flat()))
  fastify.setNotFoundHandler(async (request, reply) => {
    const path = request.url.split('?', 1)[0] ?? ''
    const methods = allowed.find(path)
    if (methods.length === 0 || methods.includes(request.method)) throw new errors.FST_API_ROUTE_NOT_FOUND(path)
    reply.header('allow', methods.join(', '))
    throw new errors.FST_API_METHOD_NOT_ALLOWED(request.method, methods.join(', '))
  })
}

/** For Fastify's `frameworkErrors`: URLs that it cannot decode never reach a route or its error handler. */
export function answerFrameworkError (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  sendError(error, request, reply, '')
}

function toFastifyError (error: unknown): FastifyError {
  if (isTransient(error)) return new errors.FST_API_DATABASE_UNAVAILABLE({ cause: error })
  return error as FastifyError
}

function sendError (error: FastifyError, request: FastifyRequest, reply: FastifyReply, docs: string): void {
  const status = statusOf(error)
  if (status >= 500) request.log.error({ err: error }, 'the request failed')
  if (status === 401) reply.header('www-authenticate', 'Bearer')
  if (status === 503) reply.header('retry-after', 1)
  reply.code(status).header('content-type', problemMediaType).header('cache-control', 'no-store').send(JSON.stringify(problemOf(error, status, docs)))
}

function problemOf ({ code, message }: FastifyError, status: number, docs: string) {
  if (status === 500) return createProblem({ status, code: 'INTERNAL_SERVER_ERROR', detail: 'The server failed. The request may be repeated.' })
  const explained = /^FST_(API|CONCURRENCY|IDEMPOTENCY|LOCKS|SCHEDULER)_/.test(code ?? '')
  return createProblem({ status, code: code ?? 'ERROR', detail: message, ...(explained ? { docs } : {}) })
}

function statusOf ({ statusCode }: FastifyError): number {
  return statusCode !== undefined && statusCode >= 400 && statusCode < 600 ? statusCode : 500
}

export default fp(problems, { name: 'holdfast-problems', fastify: '5.x' })
