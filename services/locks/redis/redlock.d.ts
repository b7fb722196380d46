/**
 * What we use of redlock 5.0.0-beta.2, whose own types do not resolve under nodenext: its `exports` have no `types`. It is called with nodes of our
 * own instead of clients. Nothing exported may have one of these types: a package does not carry this file to who installs it.
 */
declare module 'redlock' {
  export interface Node {
    evalsha: (sha: string, keys: number, args: readonly (string | number)[]) => Promise<unknown>
  }

  export interface ExecutionStats {
    readonly quorumSize: number
    readonly votesFor: ReadonlySet<Node>
    readonly votesAgainst: ReadonlyMap<Node, Error>
  }

  export class ResourceLockedError extends Error {}

  export class ExecutionError extends Error {
    readonly attempts: ReadonlyArray<Promise<ExecutionStats>>
  }

  export class Lock {
    constructor (redlock: Redlock, resources: string[], value: string, attempts: [], expiration: number)
    readonly resources: string[]
    readonly value: string
  }

  export default class Redlock {
    constructor (nodes: Iterable<Node>, settings: { retryCount: number }, scripts: { acquireScript: () => string, extendScript: () => string, releaseScript: () => string })
    acquire (resources: string[], duration: number): Promise<Lock>
    extend (lock: Lock, duration: number): Promise<Lock>
    release (lock: Lock): Promise<unknown>
  }
}
