import Redlock, { ExecutionError, Lock, ResourceLockedError } from 'redlock'
import type { Node as RedlockNode } from 'redlock'
import type { Node } from './node.js'
import { acquireScript, extendScript, releaseScript } from './scripts.js'
import type { Vote, Voters } from './vote.js'

const scripts = new Map([acquireScript, extendScript, releaseScript].map((script) => [script.sha, script]))

/**
 * Redlock's quorum, called once each time: how it waits, extends and gives back is broken (docs/locks.md). Its locks carry a time of the wall
 * clock, which ours replace by Infinity: the validity is looked at elsewhere, on the monotonic clock.
 */
export function createQuorum (nodes: readonly Node[]): Voters {
  const redlock = new Redlock(nodes.map(toRedlock), { retryCount: 0 }, {
    acquireScript: () => acquireScript.text,
    extendScript: () => extendScript.text,
    releaseScript: () => releaseScript.text
  })
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

/** It never has to send a script itself. */
function toRedlock ({ run }: Node): RedlockNode {
  return {
    async evalsha (sha, keys, args) {
      const script = scripts.get(sha)
      if (script === undefined) throw new TypeError('redlock has a script that is not ours')
      return await run(script, keys, args)
    }
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
