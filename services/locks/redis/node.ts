import { Command as RedisCommand } from 'ioredis'
import type { Cluster, Redis } from 'ioredis'
import { isCluster } from '../../redis/connection.js'
import { withoutCommand } from '../../redis/error.js'
import { createDebts } from './debts.js'
import { createKnown } from './known.js'
import { acquireScript, releaseScript } from './scripts.js'
import type { Script } from './scripts.js'
import { createSilence } from './silence.js'

type Arguments = ReadonlyArray<string | number>

/** One of the servers that vote, a Cluster, or what Sentinels watch. */
export interface Node {
  /** Resolves with the answer of the script. Rejects where there was none, or none in time. */
  run: (script: Script, keys: number, args: Arguments) => Promise<unknown>
}

interface Request {
  script: Script
  keys: number
  args: Arguments
}

interface Call {
  resolve: (answer: unknown) => void
  reject: (error: unknown) => void
}

type Command = 'evalsha' | 'eval'
type Send = (command: Command, args: [string, number, ...Arguments]) => Promise<unknown>

/**
 * A node that has fallen silent is not waited for until it answers something. It is still told everything, in order, so that a lock which it takes
 * when it wakes is given back right after: sent only after a refusal, a script that takes would come behind the release.
 */
export function createNode (connection: Redis | Cluster): Node {
  const silence = createSilence<Call>(({ reject }, error) => { reject(error) })
  const isKnown = createKnown(connection)
  const send = isCluster(connection) ? toCluster(connection) : toServer(connection)
  const answerOf = (request: Request): Promise<unknown> => new Promise((resolve, reject) => {
    ask(isKnown(request.script) ? 'evalsha' : 'eval', request, { resolve, reject })
  })
  const debts = createDebts(connection, answerOf)

  function ask (command: Command, request: Request, call: Call): void {
    const { script, keys, args } = request
    const answer = send(command, [command === 'eval' ? script.text : script.sha, keys, ...args])
    silence.begin(call)
    answer.then((value) => {
      silence.end(call)
      call.resolve(value)
    }, (error: unknown) => {
      const isGivenUp = !silence.end(call)
      if (command === 'evalsha' && isUnknown(error) && mayRepeat(script, isGivenUp)) return ask('eval', request, call)
      if (script === releaseScript) debts.owe(request, error)
      call.reject(withoutCommand(error))
    })
  }
  return { run: (script, keys, args) => answerOf({ script, keys, args }) }
}

function isUnknown (error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT')
}

/** A server that wakes is told to give back what it took; nobody waits any more for what it did not take. */
function mayRepeat (script: Script, isGivenUp: boolean): boolean {
  return !isGivenUp || script !== acquireScript
}

/** Past auto-pipelining, which lets every command wait for a turn of the event loop. */
function toServer (redis: Redis): Send {
  const { keyPrefix } = redis.options
  const options = { replyEncoding: 'utf8' as const, ...(keyPrefix === undefined ? {} : { keyPrefix }) }
  const gather = createGathering()
  return (name, args) => {
    gather(redis.stream)
    return Promise.resolve(redis.sendCommand(new RedisCommand(name, args, options)))
  }
}

/** Commands of one packet at most: the server works on the first ones while the rest is written. Without, 32 in parallel were a third slower. */
const most = 16

/** What is written before the event loop goes on leaves in packets: a system call for each command was a third of the cost of a lock. */
function createGathering (): (stream: Redis['stream'] | undefined) => void {
  let gathering: Redis['stream'] | undefined
  let count = 0
  const leave = (): void => {
    gathering?.uncork()
    gathering = undefined
  }
  return (stream) => {
    if (gathering !== undefined && ++count === most) leave()
    if (gathering !== undefined || stream === undefined) return
    gathering = stream
    count = 0
    stream.cork()
    process.nextTick(leave)
  }
}

function toCluster (cluster: Cluster): Send {
  return (name, args) => cluster[name](...args)
}
