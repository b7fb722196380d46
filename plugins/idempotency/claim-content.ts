import type { FastifyReply, FastifyRequest } from 'fastify'
import { askedFor } from './ask.js'
import { follow, withoutStore } from './follow.js'
import { contentId, scopeOf } from './identity.js'
import { kAsked } from './types.js'
import type { Fires, ProtectedRoute } from './types.js'

/** Layer 2: a request without a key is known by its content. One that has no principal, or a body whose bytes are not here, runs as it is. */
export function claimContent (request: FastifyRequest, reply: FastifyReply, route: ProtectedRoute, { windows, doubleFires, settings }: Fires, done: () => void): void {
  const scope = scopeOf(request, route.settings)
  const { print, params } = request[kAsked] ?? askedFor(request, route)
  if (scope === null || !print.ok) return done()
  const { fingerprint } = print
  const id = contentId(scope, params, fingerprint)
  doubleFires.begin({ contentId: id, fingerprint, window: windows.of(scope.subject, id) }, settings).then(
    (decision) => { follow(decision, request, reply, route, id, 'fingerprint', done) },
    (err: unknown) => { withoutStore(err, { id, fingerprint, layer: 'fingerprint' }, request, reply, route, done) }
  )
}
