import type { FastifyInstance } from 'fastify'

/** The application that a scope belongs to. Its `ready` is Fastify's, also while hooks of a scope run; that of a scope is avvio's own, which throws there. */
export function rootOf (scope: FastifyInstance): FastifyInstance {
  let root = scope
  for (let next = parentOf(root); next !== null; next = parentOf(root)) root = next
  return root
}

/** A scope inherits from its parent, and the application from nothing of Fastify's. */
function parentOf (scope: FastifyInstance): FastifyInstance | null {
  const parent = Object.getPrototypeOf(scope) as FastifyInstance | null
  return parent !== null && typeof parent.ready === 'function' ? parent : null
}
