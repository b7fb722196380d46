import { Command } from 'ioredis'
import type { Cluster, Redis } from 'ioredis'
import { withoutCommand } from '../../redis/error.js'
import { createBatches } from './redis-batches.js'
import type { Run, Send } from './redis-batches.js'
import { isCluster } from '../../redis/connection.js'
import { answered } from '../../redis/deadline.js'
import { GenerationChanged } from './redis-generation.js'
import type { Generation } from './redis-generation.js'
import { anyGeneration, batch } from './redis-scripts.js'

export interface Transport {
  send: Send
  run: Run
}

/** Batches to one server; to a Cluster single operations, each on the node that has its key, in pipelines that ioredis makes. */
export function createTransport (redis: Redis | Cluster, generation: Generation): Transport {
  const send = isCluster(redis) ? toCluster(redis) : toServer(redis, generation)
  return { send, run: createBatches(send, isCluster(redis) ? 1 : undefined) }
}

function toServer (redis: Redis, generation: Generation): Send {
  const { keyPrefix } = redis.options
  // A command of our own, because auto-pipelining costs more than it saves when the operations are together already.
  const evaluate = evaluator(async (name, args) => {
    return await redis.sendCommand(new Command(name, args, { replyEncoding: 'utf8', ...(keyPrefix === undefined ? {} : { keyPrefix }) }))
  })
  return async (keys, argv) => {
    const unchecked = generation.checkServer()
    if (unchecked !== undefined) await unchecked
    const answer = await evaluate([generation.key, ...keys], [generation.known(), ...argv])
    if (answer === null) throw new GenerationChanged()
    return answer
  }
}

function toCluster (cluster: Cluster): Send {
  const evaluate = evaluator((name, [script = '', ...args]) => cluster[name](script, ...args as [string]))
  return async (keys, argv) => {
    if (keys.length === 0) return await answered(cluster.ping())
    return await evaluate([...keys, ...keys], [anyGeneration, ...argv])
  }
}

type Call = (name: 'evalsha' | 'eval', args: string[]) => Promise<unknown>

/** EVALSHA, and EVAL once after the server's script cache was emptied (restart, failover, SCRIPT FLUSH). */
function evaluator (call: Call): Send {
  const evaluate = (name: 'evalsha' | 'eval', args: string[]): Promise<unknown> => answered(call(name, args)).catch((error: unknown) => { throw withoutCommand(error) })
  return async (keys, argv) => {
    const args = [batch.sha, String(keys.length), ...keys, ...argv]
    try {
      return await evaluate('evalsha', args)
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
      return await evaluate('eval', [batch.source, ...args.slice(1)])
    }
  }
}
