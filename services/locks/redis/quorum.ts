import Redlock, { ExecutionError, Lock, ResourceLockedError } from 'redlock'
import type { Node } from './node.js'
import { extendScript, releaseScript } from './scripts.js'

/** `refused`: so many nodes have another value or none that no quorum is left. */
export type Vote = { vote: 'agreed' } | { vote: 'refused' } | { vote: 'unavailable', cause: Error }

export type AcquireVote = { vote: 'agreed', value: string } | Exclude<Vote, { vote: 'agreed' }>

/** What a majority of the nodes says, asked once. */
export interface Quorum {
  /** What a minority has granted is given back. */
  acquire: (keys: readonly string[], ttl: number) => Promise<AcquireVote>
  extend: (keys: readonly string[], value: string, ttl: number) => Promise<Vote>
  release: (keys: readonly string[], value: string) => Promise<Vote>
}

/**
 * Redlock's quorum, called once each time: how it waits, extends and gives back is broken (docs/locks.md). Its locks carry a time of the wall
 * clock, which ours replace by Infinity: the validity is looked at elsewhere, on the monotonic clock.
 */
export function createQuorum (nodes: readonly Node[]): Quorum {
  const redlock = new Redlock(nodes, { retryCount: 0 }, { extendScript: () => extendScript, releaseScript: () => releaseScript })
  const lockOf = (keys: readonly string[], value: string): Lock => new Lock(redlock, [...keys], value, [], Infinity)
  return {
    async acquire (keys, ttl) {
      try {
        return { vote: 'agreed', value: (await redlock.acquire([...keys], ttl)).value }
      } catch (error) {
        return await verdict(error)
      }
    },
    extend: (keys, value, ttl) => redlock.extend(lockOf(keys, value), ttl).then(() => ({ vote: 'agreed' }), verdict),
    release: (keys, value) => redlock.release(lockOf(keys, value)).then(() => ({ vote: 'agreed' }), verdict)
  }
}

/** A node that could not be had might have agreed. */
async function verdict (error: unknown): Promise<Exclude<Vote, { vote: 'agreed' }>> {
  if (!(error instanceof ExecutionError)) throw error
  const stats = await error.attempts[0]
  if (stats === undefined) throw error
  const against = [...stats.votesAgainst.values()]
  const failures = against.filter((vote) => !(vote instanceof ResourceLockedError))
  const [cause] = failures
  return cause === undefined || against.length - failures.length + stats.votesFor.size >= stats.quorumSize ? { vote: 'refused' } : { vote: 'unavailable', cause }
}
