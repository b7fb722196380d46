import type { FastifyInstance, FastifyRequest, RouteHandlerMethod, RouteOptions } from 'fastify'
import type { DoubleFires } from '../../services/idempotency/double-fires.js'
import type { IdempotencyEngine } from '../../services/idempotency/engine.js'
import type { Observer } from '../../services/idempotency/observer.js'
import { createAdaptiveWindow, createFixedWindow } from '../../services/idempotency/windows.js'
import type { Windows } from '../../services/idempotency/windows.js'
import { askedFor } from './ask.js'
import { captureUnsaid, isTimedOut } from './capture.js'
import { createClaimHook } from './claim.js'
import { FST_IDEMPOTENCY_NOT_WIRED } from './errors.js'
import { constraintsOf } from './identity.js'
import { documentRoutes } from './openapi.js'
import type { FingerprintWindow, IdempotencyOptions, IdempotencyRouteOptions } from './options.js'
import { createRollout } from './rollout.js'
import { checkRouteConfig } from './rules.js'
import { defaults, firesSettings, settingsOf } from './settings.js'
import { watchRoutes } from '../seen-routes.js'
import { kAsked, kRoute, kRun } from './types.js'
import type { Hook, ProtectedRoute } from './types.js'

export interface WireDeps {
  options: IdempotencyOptions
  engine: IdempotencyEngine
  doubleFires: DoubleFires
  observer: Observer
}

/** Appends the claim to every protected route as its last preHandler, and refuses at run time a route that was declared too early to be seen. */
export function wireRoutes (fastify: FastifyInstance, deps: WireDeps): void {
  const { methods = defaults.methods } = deps.options
  const document = documentRoutes(fastify)

  const isSeen = watchRoutes(fastify, (route, name) => {
    checkRouteConfig(route.config?.idempotency, name, deps.options)
    const protectedRoute = toProtected(route, methods, deps)
    if (protectedRoute === null) return
    document(route, protectedRoute.settings, [...protectedRoute.methods ?? [route.method].flat()])
    const mark: Hook = (request, _reply, done) => {
      request[kRoute] = protectedRoute
      done()
    }
    route.onRequest = [mark, ...[route.onRequest ?? []].flat()]
    route.preHandler = [...[route.preHandler ?? []].flat(), createClaimHook(protectedRoute)]
    route.handler = watchEnd(route.handler)
  })

  // The first preHandler, for the claim that is the last: in between the application may change the body.
  fastify.addHook('preHandler', (request, _reply, done) => {
    const route = request[kRoute]
    if (!route) return done(wants(request, methods) && !isSeen(request) ? new FST_IDEMPOTENCY_NOT_WIRED(`${request.method} ${request.routeOptions.url}`) : undefined)
    if (needsFingerprint(request, route)) request[kAsked] = askedFor(request, route)
    done()
  })
}

/** Of what a handler leaves unsaid once its client has gone, Fastify tells no hook, nor that one has ended after the 503 of `handlerTimeout`. */
function watchEnd (handler: RouteHandlerMethod): RouteHandlerMethod {
  return function (request, reply) {
    const answer: unknown = handler.call(this, request, reply)
    const run = request[kRun]
    if (!run || !(answer instanceof Promise)) return answer
    const { attempt, route: { engine } } = run
    engine.watch(attempt)
    const end = (isSilent: boolean): void => { if ((isSilent && !run.settled) || isTimedOut(request, reply)) engine.unwatch(attempt) }
    answer.then((value) => {
      if (value === undefined && reply.raw.destroyed) captureUnsaid(request, reply)
      end(value === undefined)
    }, () => { end(false) }) // Fastify answers with the error
    return answer
  }
}

function toProtected (route: RouteOptions, methods: string[], { options, engine, doubleFires, observer }: WireDeps): ProtectedRoute | null {
  const config = route.config?.idempotency
  const all = [route.method].flat()
  const covered = all.filter((method) => isProtected(config, method, methods))
  if (covered.length === 0) return null
  const settings = settingsOf(options, config)
  return {
    engine,
    observer,
    settings,
    isCovered: createRollout(options),
    methods: covered.length === all.length ? null : new Set(covered),
    url: route.url,
    constraints: constraintsOf(route),
    fires: settings.fingerprint === null ? null : { doubleFires, windows: windowsOf(settings.fingerprint), settings: firesSettings(options, config) },
    docs: options.docs ?? defaults.docs
  }
}

function windowsOf (fingerprint: FingerprintWindow): Windows {
  return 'window' in fingerprint ? createFixedWindow(fingerprint.window) : createAdaptiveWindow(fingerprint.adaptive)
}

function needsFingerprint ({ headers, method }: FastifyRequest, { methods, settings }: ProtectedRoute): boolean {
  return (headers['idempotency-key'] !== undefined || settings.fingerprint !== null) && (methods === null || methods.has(method))
}

function wants ({ method, routeOptions: { config } }: FastifyRequest, methods: string[]): boolean {
  return isProtected(config?.idempotency, method, methods)
}

/** A route that says something of idempotency is protected for each of its methods, any other for the plugin's. HEAD is the GET that Fastify adds. */
function isProtected (config: boolean | IdempotencyRouteOptions | undefined, method: string, methods: string[]): boolean {
  return config !== false && method !== 'HEAD' && (config !== undefined || methods.includes(method))
}
