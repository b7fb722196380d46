import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import type { Concurrency } from '../../services/concurrency/index.js'
import type { Quota, RateLimitedError, RateLimiter } from '../../services/concurrency/rate-limiter.js'
import { createProblem, problemMediaType, secondsOf } from '../../services/problem.js'
import { FST_CONCURRENCY_LIMITER_UNAVAILABLE, FST_CONCURRENCY_NOT_WIRED, FST_CONCURRENCY_RATE_LIMITED } from './errors.js'
import { defaults } from './options.js'
import type { ConcurrencyOptions, LimiterRouteOptions } from './options.js'
import { limiterOf } from './rules.js'
import { watchRoutes } from '../seen-routes.js'

/** Puts its limiter in front of every route that names one, as the last onRequest, and refuses at run time a route that was declared too early to be seen. */
export function limitRoutes (fastify: FastifyInstance, concurrency: Concurrency, options: ConcurrencyOptions): void {
  const isSeen = watchRoutes(fastify, (route, routeName) => {
    const config = limiterOf(route.config?.limiter, routeName, options)
    if (config !== null) route.onRequest = [...[route.onRequest ?? []].flat(), createHook(concurrency.limiter(config.name), config, options)]
  })
  fastify.addHook('onRequest', async (request) => {
    const { config, url } = request.routeOptions
    const isLimited = config?.limiter !== undefined && config.limiter !== false
    if (isLimited && !isSeen(request)) throw new FST_CONCURRENCY_NOT_WIRED(`${request.method} ${url}`)
  })
}

function createHook (limiter: RateLimiter, { name, key, points = 1 }: LimiterRouteOptions, options: ConcurrencyOptions): onRequestAsyncHookHandler {
  const keyOf = key ?? options.limiterKey ?? ((request: FastifyRequest) => request.ip)
  const docs = options.docs ?? defaults.docs
  return async function limit (request, reply) {
    try {
      addHeaders(reply, name, limiter, await limiter.consume(keyOf(request), points))
    } catch (error) {
      if (error instanceof FST_CONCURRENCY_LIMITER_UNAVAILABLE) return sendProblem(reply, error, 1_000, docs)
      if (!(error instanceof FST_CONCURRENCY_RATE_LIMITED)) throw error
      const limited = error as RateLimitedError
      addHeaders(reply, name, limiter, limited)
      return sendProblem(reply, limited, limited.retryAfter, docs)
    }
  }
}

/** draft-ietf-httpapi-ratelimit-headers-10: quota and window of the policy, what remains of it and until when. */
function addHeaders (reply: FastifyReply, name: string, { limit, duration }: RateLimiter, { remaining, resetAfter }: Quota): void {
  reply.header('ratelimit-policy', `"${name}";q=${limit};w=${secondsOf(duration)}`)
  reply.header('ratelimit', `"${name}";r=${remaining};t=${secondsOf(resetAfter)}`)
}

/** Sent, not thrown: a library sets no error handler, and these are problem documents in every application. */
function sendProblem (reply: FastifyReply, { statusCode: status = 500, code, message: detail }: FastifyError, retryAfter: number, docs: string): FastifyReply {
  const problem = createProblem({ status, code, detail, docs })
  reply.code(status).headers({ 'retry-after': secondsOf(retryAfter), 'content-type': problemMediaType, 'cache-control': 'no-store' })
  return reply.serializer(String).send(JSON.stringify(problem))
}
