import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'

/**
 * Calls for each route that is declared from now on, with its name for messages. Returns what tells whether the route of a request was one of them: in the
 * turn of an un-awaited `register` routes are declared unseen. A mark in its `config` says so, because routes of one method and URL can differ in constraints.
 */
export function watchRoutes (fastify: FastifyInstance, onRoute: (route: RouteOptions, name: string) => void): (request: FastifyRequest) => boolean {
  const kSeen = Symbol('holdfast.seen')
  fastify.addHook('onRoute', (route) => {
    route.config = Object.assign({}, route.config, { [kSeen]: true })
    onRoute(route, `${[route.method].flat().join(',')} ${route.url}`)
  })
  return ({ is404, routeOptions: { config } }) => is404 || kSeen in config
}
