import type { FastifyRequest } from 'fastify'
import { canonical, fingerprintOf } from '../../services/idempotency/fingerprint.js'
import type { Asked, ProtectedRoute } from './types.js'

/** What the request asks for: to be taken before a hook of the application puts a time or a user into the body, anew in every retry. */
export function askedFor ({ method, query, body, params, headers }: FastifyRequest, { url }: ProtectedRoute): Asked {
  return { print: fingerprintOf({ method, route: url, query, body, contentType: headers['content-type'] }), params: canonical(params ?? {}) }
}
