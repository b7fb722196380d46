import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import type { IdempotencyEngine } from '../../services/idempotency/engine.js'
import { askedFor, createClaimHook } from './claim.js'
import { FST_IDEMPOTENCY_NOT_WIRED } from './errors.js'
import { checkRouteConfig, defaults, settingsOf } from './options.js'
import type { IdempotencyOptions } from './options.js'
import { kAsked } from './types.js'

/** Appends the claim to every protected route as its last preHandler, and refuses at run time a route that was declared too early to be seen. */
export function wireRoutes (fastify: FastifyInstance, options: IdempotencyOptions, engine: IdempotencyEngine): void {
  const { methods = defaults.methods, docs = defaults.docs } = options
  const seen = new Set<string>()

  fastify.addHook('onRoute', (route) => {
    const config = route.config?.idempotency
    checkRouteConfig(config, nameOf(route), options)
    for (const method of [route.method].flat()) seen.add(`${method} ${route.url}`)
    if (config === false || [route.method].flat().every((method) => !isProtected(method))) return
    const hook = createClaimHook({ engine, docs, settings: settingsOf(options, config) })
    route.preHandler = [...[route.preHandler ?? []].flat(), async (request, reply) => isProtected(request.method) ? await hook(request, reply) : undefined]

    function isProtected (method: string): boolean {
      return method !== 'HEAD' && (config !== undefined || methods.includes(method))
    }
  })

  fastify.addHook('onRequest', async (request) => {
    if (wantsProtection(request, methods) && !seen.has(`${request.method} ${request.routeOptions.url}`)) {
      throw new FST_IDEMPOTENCY_NOT_WIRED(`${request.method} ${request.routeOptions.url}`)
    }
  })

  // The first preHandler, for the claim that is the last: in between the application may put a time or a user into the body, anew in every retry.
  fastify.addHook('preHandler', (request, reply, done) => {
    if (request.headers['idempotency-key'] !== undefined && wantsProtection(request, methods)) request[kAsked] = askedFor(request)
    done()
  })
}

function wantsProtection ({ is404, method, routeOptions }: FastifyRequest, methods: string[]): boolean {
  const config = routeOptions.config?.idempotency
  return !is404 && config !== false && (methods.includes(method) || (config !== undefined && method !== 'HEAD'))
}

function nameOf ({ method, url }: RouteOptions): string {
  return `${[method].flat().join(',')} ${url}`
}
