import { AsyncLocalStorage } from 'node:async_hooks'
import { FST_LOCKS_USAGE } from './errors.js'

interface Scope {
  names: readonly string[]
  backend: string
  isOpen: () => boolean
  outer: Scope | undefined
}

export interface Nesting {
  /** Throws FST_LOCKS_USAGE when the async context holds one of the names already: it would wait for itself. */
  check: (backend: string, names: readonly string[]) => void
  run: <T>(scope: Omit<Scope, 'outer'>, fn: () => T) => T
}

/** Knows which locks an async context runs under. What outlives its lock in the background runs under it no more. */
export function createNesting (): Nesting {
  const context = new AsyncLocalStorage<Scope>()
  return {
    check (backend, names) {
      for (let scope = context.getStore(); scope !== undefined; scope = scope.outer) {
        if (scope.backend !== backend || !scope.isOpen()) continue
        const name = scope.names.find((held) => names.includes(held))
        if (name !== undefined) throw new FST_LOCKS_USAGE(`the lock ${name} is held already by the code that asks for it: it would wait for itself`)
      }
    },
    run: (scope, fn) => context.run({ ...scope, outer: context.getStore() }, fn)
  }
}
