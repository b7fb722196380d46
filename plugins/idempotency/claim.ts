import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { Question } from '../../services/idempotency/engine.js'
import type { Fingerprint } from '../../services/idempotency/fingerprint.js'
import { headerLines, parseKey } from '../../services/idempotency/key.js'
import { askedFor } from './ask.js'
import { claimContent } from './claim-content.js'
import * as errors from './errors.js'
import { bypass, follow, refuse, withoutStore } from './follow.js'
import { goneOf } from '../../services/http/gone.js'
import { recordId, scopeOf } from './identity.js'
import type { RouteSettings } from './options.js'
import { kAsked } from './types.js'
import type { Hook, ProtectedRoute } from './types.js'

/**
 * The preHandler of a protected route: runs last, so that nothing is claimed or replayed before authentication and validation have passed. With
 * callbacks, not async: every promise between the request and its handler costs about a microsecond.
 */
export function createClaimHook (route: ProtectedRoute): Hook {
  const { settings, methods } = route
  return (request, reply, done) => {
    if (methods !== null && !methods.has(request.method)) return done()
    const isKeyed = request.headers['idempotency-key'] !== undefined
    if (!isKeyed && !settings.required && route.fires === null) return done()
    if (route.isCovered !== null && !route.isCovered(request, settings)) return bypass(reply, route, isKeyed || settings.required ? 'key' : 'fingerprint', done)
    if (isKeyed) return claimKey(request, reply, route, done)
    if (settings.required) return refuse(reply, route, 'key', 'invalid', new errors.FST_IDEMPOTENCY_KEY_MISSING())
    if (route.fires === null) return done()
    claimContent(request, reply, route, route.fires, done)
  }
}

function claimKey (request: FastifyRequest, reply: FastifyReply, route: ProtectedRoute, done: () => void): void {
  const { settings } = route
  const parsed = parseKey(headerLines(request.raw.rawHeaders, 'idempotency-key'), settings.maxKeyLength)
  if (!parsed.ok) return refuse(reply, route, 'key', 'invalid', new errors.FST_IDEMPOTENCY_KEY_INVALID(parsed.reason))
  const scope = scopeOf(request, settings)
  if (scope === null) return refuse(reply, route, 'key', 'invalid', new errors.FST_IDEMPOTENCY_PRINCIPAL_MISSING())
  const { print, params } = request[kAsked] ?? askedFor(request, route)
  if (!print.ok) return refuse(reply, route, 'key', 'invalid', bodyError(print, settings))
  const { fingerprint } = print
  const question: Question = { id: recordId(scope, params, request.method, route, parsed.key), fingerprint, layer: 'key', gone: goneOf(reply.raw) }
  const known = route.engine.recall(question.id, fingerprint)
  if (known !== null) return follow(known, request, reply, route, parsed.key, 'key', done)
  route.engine.begin(question, settings).then(
    (decision) => { follow(decision, request, reply, route, parsed.key, 'key', done) },
    (err: unknown) => { withoutStore(err, question, request, reply, route, done) }
  )
}

function bodyError ({ reason, tooLarge }: Extract<Fingerprint, { ok: false }>, { maxRequestBytes }: RouteSettings): FastifyError {
  return tooLarge === true ? new errors.FST_IDEMPOTENCY_BODY_TOO_LARGE(String(maxRequestBytes)) : new errors.FST_IDEMPOTENCY_BODY_INVALID(reason)
}
