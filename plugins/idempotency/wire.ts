import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import type { IdempotencyEngine } from '../../services/idempotency/engine.js'
import { askedFor, createClaimHook } from './claim.js'
import { FST_IDEMPOTENCY_NOT_WIRED } from './errors.js'
import { checkRouteConfig, defaults, settingsOf } from './options.js'
import type { IdempotencyOptions, IdempotencyRouteOptions } from './options.js'
import { createRollout } from './rollout.js'
import { kAsked } from './types.js'

/** Appends the claim to every protected route as its last preHandler, and refuses at run time a route that was declared too early to be seen. */
export function wireRoutes (fastify: FastifyInstance, options: IdempotencyOptions, engine: IdempotencyEngine): void {
  const { methods = defaults.methods, docs = defaults.docs } = options
  const isCovered = createRollout(options)
  const seen = new Set<string>()

  fastify.addHook('onRoute', (route) => {
    const config = route.config?.idempotency
    checkRouteConfig(config, nameOf(route), options)
    for (const method of [route.method].flat()) seen.add(`${method} ${route.url}`)
    const all = [route.method].flat()
    const covered = all.filter((method) => isProtected(config, method, methods))
    if (covered.length === 0) return
    const hook = createClaimHook({ engine, docs, isCovered, settings: settingsOf(options, config) })
    const claim: typeof hook = covered.length === all.length ? hook : async (request, reply) => covered.includes(request.method) ? await hook(request, reply) : undefined
    route.preHandler = [...[route.preHandler ?? []].flat(), claim]
  })

  fastify.addHook('onRequest', (request, _reply, done) => {
    const route = `${request.method} ${request.routeOptions.url}`
    if (wantsProtection(request, methods) && !seen.has(route)) done(new FST_IDEMPOTENCY_NOT_WIRED(route))
    else done()
  })

  // The first preHandler, for the claim that is the last: in between the application may put a time or a user into the body, anew in every retry.
  fastify.addHook('preHandler', (request, reply, done) => {
    if (request.headers['idempotency-key'] !== undefined && wantsProtection(request, methods)) request[kAsked] = askedFor(request)
    done()
  })
}

function wantsProtection ({ is404, method, routeOptions }: FastifyRequest, methods: string[]): boolean {
  return !is404 && isProtected(routeOptions.config?.idempotency, method, methods)
}

/** A route that says something of idempotency is protected for each of its methods, any other for the plugin's. HEAD is the GET that Fastify adds. */
function isProtected (config: boolean | IdempotencyRouteOptions | undefined, method: string, methods: string[]): boolean {
  return config !== false && method !== 'HEAD' && (config !== undefined || methods.includes(method))
}

function nameOf ({ method, url }: RouteOptions): string {
  return `${[method].flat().join(',')} ${url}`
}
