import { AsyncLocalStorage } from 'node:async_hooks'
import { FST_LOCKS_USAGE } from './errors.js'
import type { Grant } from './grant.js'
import type { Granted } from './granting.js'

interface Scope {
  granted: Granted
  outer: Scope | undefined
}

export interface Nesting {
  /** Throws FST_LOCKS_USAGE when the async context holds one of the names already: it would wait for itself. */
  check: (backend: string, names: readonly string[]) => void
  run: <T>(granted: Granted, routine: (grant: Grant) => T) => T
}

/** Knows which locks an async context runs under. What outlives its lock in the background runs under it no more. */
export function createNesting (): Nesting {
  const context = new AsyncLocalStorage<Scope>()
  return {
    check (backend, names) {
      for (let scope = context.getStore(); scope !== undefined; scope = scope.outer) {
        const { grant, backend: heldIn } = scope.granted
        if (heldIn !== backend || grant.remaining() === 0) continue
        const name = grant.names.find((held) => names.includes(held))
        if (name !== undefined) throw new FST_LOCKS_USAGE(`the lock ${name} is held already by the code that asks for it: it would wait for itself`)
      }
    },
    run: (granted, routine) => context.run({ granted, outer: context.getStore() }, routine, granted.grant)
  }
}
