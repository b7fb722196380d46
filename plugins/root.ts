import type { FastifyInstance } from 'fastify'

/** The application that a scope belongs to. Its `ready` is Fastify's, also while hooks of a scope run; that of a scope is avvio's own, which throws there. */
export function rootOf (scope: FastifyInstance): FastifyInstance {
  const parent = Object.getPrototypeOf(scope) as FastifyInstance // the application's is that of a mere object
  return typeof parent.ready === 'function' ? rootOf(parent) : scope
}
