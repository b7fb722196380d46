import type { FastifyInstance } from 'fastify'
import type { Locks } from '../../services/locks/locks.js'
import { FST_LOCKS_NOT_WIRED } from './errors.js'
import { createLockedHandler, releaseFirst } from './locked-handler.js'
import type { LocksOptions } from './options.js'
import { checkRouteConfig } from './rules.js'
import { watchRoutes } from '../seen-routes.js'

export interface WireDeps {
  options: LocksOptions
  locks: Locks
}

/** Puts the handlers of routes that ask for it under their locks, and refuses at run time a route that was declared too early to be seen. */
export function wireRoutes (fastify: FastifyInstance, { options, locks }: WireDeps): void {
  const isSeen = watchRoutes(fastify, (route, name) => {
    const config = route.config?.lock
    checkRouteConfig(config, name, options)
    if (config === undefined) return
    route.handler = createLockedHandler(route.handler, { locks, config })
    route.onSend = [...[route.onSend ?? []].flat(), releaseFirst]
  })
  fastify.addHook('preHandler', (request, _reply, done) => {
    const { config, url } = request.routeOptions
    done(config?.lock === undefined || isSeen(request) ? undefined : new FST_LOCKS_NOT_WIRED(`${request.method} ${url}`))
  })
}
