import { randomToken } from '../../random-token.js'
import type { Node } from './node.js'
import { acquireScript, extendScript, releaseScript } from './scripts.js'
import type { Script } from './scripts.js'
import type { Vote, Voters } from './vote.js'

/** The one node decides alone: there are no votes to count. */
export function createSingle (node: Node): Voters {
  const ask = async (script: Script, keys: readonly string[], ...args: Array<string | number>): Promise<Vote> => {
    try {
      return { vote: await node.run(script, keys.length, [...keys, ...args]) === keys.length ? 'agreed' : 'refused' }
    } catch (cause) {
      return { vote: 'unavailable', cause }
    }
  }
  return {
    async acquire (keys, ttl) {
      const value = randomToken()
      const answer = await ask(acquireScript, keys, value, ttl)
      if (answer.vote === 'agreed') return { vote: 'agreed', value }
      if (answer.vote === 'unavailable') await ask(releaseScript, keys, value) // only the answer may have been lost
      return answer
    },
    extend: (keys, value, ttl) => ask(extendScript, keys, value, ttl),
    release: (keys, value) => ask(releaseScript, keys, value)
  }
}
