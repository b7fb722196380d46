import { createHash } from 'node:crypto'
import { Command } from 'ioredis'
import type { Cluster, Redis } from 'ioredis'
import { isCluster } from '../../redis/connection.js'
import { withoutCommand } from '../../redis/error.js'
import { extendScript, releaseScript } from './scripts.js'

/** What the quorum asks: the two commands that redlock sends. */
export interface Node {
  evalsha: (sha: string, keys: number, args: ReadonlyArray<string | number>) => Promise<unknown>
  eval: (script: string, keys: number, args: ReadonlyArray<string | number>) => Promise<unknown>
}

/**
 * How long a node that owes answers may say nothing, ms. Not how long one answer takes: of 10,000 commands sent at once the last answer comes after
 * some 300 ms, and giving it up would only add to the load.
 */
const silence = 250

/** A timer that fires this much too late, ms, tells of a stall of this process: the answers wait in its socket, and are read after its timers. */
const stall = 50
const grace = 100

/** By their hashes. That of redlock, which takes, is not needed here: what was not known was not taken. */
const known = new Map([extendScript, releaseScript].map((script) => [createHash('sha1').update(script).digest('hex'), script]))

/**
 * One node of the quorum. A node that has fallen silent is not waited for until it answers something. It is still told everything, in order, so
 * that a lock which it takes when it wakes is given back right after.
 */
export function createNode (connection: Redis | Cluster): Node {
  const call = createCalls()
  const send = isCluster(connection) ? toCluster(connection) : toServer(connection)
  return {
    evalsha: (sha, keys, args) => call(sendKnown(send, [sha, keys, ...args])),
    eval: (script, keys, args) => call(send('eval', [script, keys, ...args]))
  }
}

/** Ends with the answer, or when nothing was heard for too long. */
function createCalls (): (answer: Promise<unknown>) => Promise<unknown> {
  const owed = new Set<(error: Error) => void>()
  let silent = false
  let heardAt = 0
  let timer: NodeJS.Timeout | undefined

  const heard = (reject: (error: Error) => void): void => {
    heardAt = performance.now()
    silent = false
    owed.delete(reject)
  }
  const giveUp = (): void => {
    silent = true
    for (const reject of owed) reject(new Error(`Redis has not answered for ${silence} ms`))
    owed.clear()
  }
  const watch = (ms: number, isGrace = false): void => {
    const due = performance.now() + ms
    timer = setTimeout(() => {
      timer = undefined
      const left = heardAt + silence - performance.now()
      if (owed.size === 0) return
      if (!isGrace && performance.now() - due > stall) watch(grace, true)
      else if (left > 0) watch(left)
      else giveUp()
    }, ms).unref()
  }
  return (answer) => new Promise((resolve, reject) => {
    const isSilent = silent
    if (owed.size === 0) heardAt = performance.now()
    owed.add(reject)
    answer.then((value) => { heard(reject); resolve(value) }, (error: unknown) => { heard(reject); reject(withoutCommand(error)) })
    if (isSilent) giveUp()
    else if (timer === undefined) watch(silence)
  })
}

/**
 * Sends the script itself where Redis does not know it. Redlock would do so too, but not once the call was given up: a lock that a silent server took
 * when it woke would then stay until its ttl.
 */
async function sendKnown (send: Send, [sha, ...others]: Parameters<Send>[1]): Promise<unknown> {
  try {
    return await send('evalsha', [sha, ...others])
  } catch (error) {
    const script = known.get(sha)
    if (script === undefined || !(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
    return await send('eval', [script, ...others])
  }
}

type Send = (name: 'evalsha' | 'eval', args: [string, number, ...Array<string | number>]) => Promise<unknown>

/** Past auto-pipelining, which lets every command wait for a turn of the event loop. */
function toServer (redis: Redis): Send {
  const { keyPrefix } = redis.options
  const options = { replyEncoding: 'utf8' as const, ...(keyPrefix === undefined ? {} : { keyPrefix }) }
  return (name, args) => Promise.resolve(redis.sendCommand(new Command(name, args, options)))
}

function toCluster (cluster: Cluster): Send {
  return (name, args) => cluster[name](...args)
}
