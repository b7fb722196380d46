import { randomUUID } from 'node:crypto'
import type { Cluster, Redis } from 'ioredis'
import { isCluster } from '../../redis/connection.js'
import { answered } from '../../redis/deadline.js'

/** Redis has lost what it knew, or may have; nothing of the call was done. `RedisLink.renew` goes on. */
export class GenerationChanged extends Error {
  override name = 'GenerationChanged'
  constructor () {
    super('Redis holds another generation of records than this process knows')
  }
}

export function isGenerationChanged (error: unknown): error is GenerationChanged {
  return error instanceof GenerationChanged
}

export interface Renewal {
  /** The generation, or the server's process, is another than this process knew: records may be missing. */
  changed: boolean
  /** This process is among the first to know: there was no generation, or the server's process is another. Processes that start later have to be told. */
  lost: boolean
  /** How long the note that `announce` left still stands, ms. 0 when there is none. */
  recoveryLeft: number
}

export interface Generation {
  key: string
  /** What a batch is to find under the key. Empty, which Redis never holds, while that is not known. */
  known: () => string
  /** Makes sure, once a connection, that the server is the same process as before. Undefined when that is known already. */
  checkServer: () => Promise<void> | undefined
  renew: () => Promise<Renewal>
  announce: (duration: number) => Promise<void>
}

/**
 * Tells whether Redis still has all that was written to it. A flush and an empty restart take the generation's key with them. A promoted replica
 * has it but may lack the newest records: its `run_id` tells.
 */
export function createGeneration (redis: Redis | Cluster, prefix: string): Generation {
  const [key, note] = [`${prefix}:generation`, `${prefix}:recovery`]
  let [known, earlier] = ['', '']
  let renewing: Promise<Renewal> | undefined
  const server = createServerCheck(redis, () => { known = '' })

  const adopt = (generation: string): void => { known = earlier = generation }
  const renew = async (): Promise<Renewal> => {
    await server.check()
    const fresh = randomUUID()
    const [found, left] = await answered(Promise.all([redis.set(key, fresh, 'NX', 'GET'), redis.pttl(note)]))
    const lost = found === null || server.replaced()
    const changed = server.replaced() || (earlier !== '' && (found ?? fresh) !== earlier)
    server.accept()
    adopt(found ?? fresh)
    return { changed, lost, recoveryLeft: Math.max(0, left) }
  }
  return {
    key,
    known: () => known,
    checkServer: server.check,
    renew: () => (renewing ??= renew().finally(() => { renewing = undefined })), // all calls of a batch fail, and renew, at the same time
    async announce (duration) {
      const fresh = randomUUID()
      const life = Math.max(1, Math.ceil(duration))
      // The note first: who notices the generation finds it. A note that stands longer is kept.
      await answered(Promise.all([redis.set(note, '1', 'PX', life, 'NX'), redis.pexpire(note, life, 'GT'), redis.set(key, fresh)]))
      adopt(fresh)
    }
  }
}

interface ServerCheck {
  check: () => Promise<void> | undefined
  /** The server is another process than the one last accepted. */
  replaced: () => boolean
  accept: () => void
}

/** Compares `run_id` once on each socket. Not in Cluster, where there are many. A server that tells none is believed. */
function createServerCheck (redis: Redis | Cluster, onReplaced: () => void): ServerCheck {
  let runId: string | undefined
  let replaced = false
  let checking: Promise<void> | undefined
  let checked: unknown

  const compare = async (client: Redis): Promise<void> => {
    const { stream } = client
    const found = await answered(readRunId(client))
    if (runId !== undefined && found !== undefined && found !== runId) {
      replaced = true
      onReplaced()
    }
    runId = found ?? runId
    checked = stream
  }
  return {
    check () {
      if (isCluster(redis) || redis.stream === checked) return undefined
      checking ??= compare(redis).finally(() => { checking = undefined })
      return checking
    },
    replaced: () => replaced,
    accept: () => { replaced = false }
  }
}

async function readRunId (redis: Redis): Promise<string | undefined> {
  try {
    return /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1]
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('NOPERM')) return undefined
    throw error
  }
}
