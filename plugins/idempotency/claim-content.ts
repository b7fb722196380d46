import type { FastifyReply, FastifyRequest } from 'fastify'
import { askedFor } from './ask.js'
import { follow, withoutStore } from './follow.js'
import { goneOf } from '../../services/http/gone.js'
import { contentId, scopeOf } from './identity.js'
import { kAsked } from './types.js'
import type { Fires, ProtectedRoute } from './types.js'

/**
 * Layer 2: a request without a key is known by its content. One that has no principal, or a body whose bytes are not here, runs as it is. The
 * principal counts beside a scope function too: people of one tenant may ask for the same at the same time.
 */
export function claimContent (request: FastifyRequest, reply: FastifyReply, route: ProtectedRoute, { windows, doubleFires, settings }: Fires, done: (error?: Error) => void): void {
  const scope = scopeOf(request, route.settings)
  const principal = scope?.kind === 'principal' ? scope.subject : route.settings.principal(request)
  const { print, params } = request[kAsked] ?? askedFor(request, route)
  if (scope === null || !principal || !print.ok) return done()
  const { fingerprint } = print
  const id = contentId(scope, principal, params, route, fingerprint)
  doubleFires.begin({ contentId: id, fingerprint, window: windows.of(principal, id), gone: goneOf(reply.raw) }, settings).then(
    (decision) => { follow(decision, request, reply, route, id, 'fingerprint', done) },
    (err: unknown) => { withoutStore(err, { id, fingerprint, layer: 'fingerprint' }, request, reply, route, done) }
  )
}
