import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import type { Locks } from '../../services/locks/locks.js'
import { FST_LOCKS_NOT_WIRED } from './errors.js'
import { createLockedHandler, releaseFirst } from './locked-handler.js'
import type { LocksOptions } from './options.js'
import { checkRouteConfig } from './rules.js'

export interface WireDeps {
  options: LocksOptions
  locks: Locks
}

/** Puts the handlers of routes that ask for it under their locks, and refuses at run time a route that was declared too early to be seen. */
export function wireRoutes (fastify: FastifyInstance, { options, locks }: WireDeps): void {
  const seen = new Set<string>()

  fastify.addHook('onRoute', (route) => {
    const config = route.config?.lock
    checkRouteConfig(config, nameOf(route), options)
    for (const method of [route.method].flat()) seen.add(`${method} ${route.url}`)
    if (config === undefined) return
    route.handler = createLockedHandler(route.handler, { locks, config })
    route.onSend = [...[route.onSend ?? []].flat(), releaseFirst]
  })
  fastify.addHook('preHandler', (request, _reply, done) => {
    done(isMissed(request, seen) ? new FST_LOCKS_NOT_WIRED(`${request.method} ${request.routeOptions.url}`) : undefined)
  })
}

function isMissed ({ is404, method, routeOptions: { config, url } }: FastifyRequest, seen: ReadonlySet<string>): boolean {
  return !is404 && config.lock !== undefined && !seen.has(`${method} ${url}`)
}

function nameOf ({ method, url }: RouteOptions): string {
  return `${[method].flat().join(',')} ${url}`
}
