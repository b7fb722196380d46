import type { FastifyRequest } from 'fastify'
import { canonical } from '../../services/idempotency/canonical.js'
import { fingerprintOf, tooLarge } from '../../services/idempotency/fingerprint.js'
import type { Asked, ProtectedRoute } from './types.js'

/**
 * What the request asks for: to be taken before a hook of the application puts a time or a user into the body, anew in every retry. The length
 * that was declared is looked at before anything is hashed; one that was not, or that will be unpacked, where it is found.
 */
export function askedFor ({ method, query, body, params, headers }: FastifyRequest, { url, settings: { maxRequestBytes } }: ProtectedRoute): Asked {
  if (Number(headers['content-length']) > maxRequestBytes) return { print: tooLarge, params: '' }
  const maxBytes = headers['content-length'] === undefined || headers['content-encoding'] !== undefined ? maxRequestBytes : Infinity
  return { print: fingerprintOf({ method, route: url, query, body, contentType: headers['content-type'], maxBytes }), params: canonical(params ?? {}) }
}
