import type { FastifyRequest, RouteOptions } from 'fastify'
import { digest } from '../../services/idempotency/digest.js'
import type { RouteSettings } from './options.js'
import type { ProtectedRoute } from './types.js'

export interface Scope {
  kind: 'public' | 'custom' | 'principal'
  subject: string
}

/** Whose keys these are. Null when the route needs a principal and the request has none. */
export function scopeOf (request: FastifyRequest, { scope, principal }: RouteSettings): Scope | null {
  if (scope === 'public') return { kind: 'public', subject: '' }
  if (typeof scope === 'function') return { kind: 'custom', subject: scope(request) }
  const subject = principal(request)
  return subject ? { kind: 'principal', subject } : null
}

/** What tells routes of one method and URL apart, such as a host or a version. */
export function constraintsOf ({ constraints = {} }: RouteOptions): string[] {
  return Object.entries(constraints).map(([name, value]) => JSON.stringify([name, String(value)])).sort()
}

/** The digest under which a key is stored: it is unique within its scope, method, route (by URL and constraints) and params. */
export function recordId ({ kind, subject }: Scope, params: string, method: string, { url, constraints }: ProtectedRoute, key: string): string {
  return digest('holdfast:record:2', [kind, subject, params, method, url, key, ...constraints])
}

/** The digest that stands for the key of a request without one: the same content by the same principal. */
export function contentId ({ kind, subject }: Scope, principal: string, params: string, { constraints }: ProtectedRoute, fingerprint: string): string {
  return digest('holdfast:content:1', [kind, subject, principal, params, fingerprint, ...constraints])
}
