import type { Claim, ClaimResult, StoredRecord, StoredResponse } from '../record.js'
import type { IdempotencyStore } from '../store.js'
import { untilEnded } from '../wait.js'
import { createInFlight } from './in-flight.js'
import { createRedisLink, isGenerationChanged } from './redis-link.js'
import type { Held, RedisLink, RedisLinkOptions } from './redis-link.js'

export type RedisStoreOptions = RedisLinkOptions

/**
 * Redis alone. What Redis lost is lost, but a claim whose request runs in this process is made again when it is extended or completed: nobody else
 * holds it, and the answer is there for the next retry.
 */
export function createRedisStore (options: RedisStoreOptions): IdempotencyStore {
  const link = createRedisLink(options)
  const running = createInFlight(() => performance.now())

  const call = repeater(link)
  const claim = async (claim: Claim): Promise<ClaimResult> => {
    const result = await call(() => link.claim(claim))
    if (result.state === 'claimed') running.add(claim, 'inRedis')
    return result
  }
  const regained = async (lost: Claim): Promise<boolean> => running.find(lost) !== undefined && (await claim(lost)).state === 'claimed'
  const complete = (claim: Claim, response: StoredResponse | null): Promise<Held> => call(() => link.complete(claim, response))
  const get = (id: string): Promise<StoredRecord | null> => call(() => link.get(id))
  // Looking now and then is enough where SUBSCRIBE is not permitted; where Redis cannot be had at all, the look says so.
  const subscribe: RedisLink['subscribe'] = (id, wake) => link.subscribe(id, wake).catch(() => () => {})

  return {
    claim,
    async extend (claims) {
      const found = await call(() => link.extend(claims))
      const held = await Promise.all(claims.map(async (claim, index) => found[index] === 'missing' ? await regained(claim) : found[index] === 'held'))
      claims.forEach((claim, index) => { if (held[index] === true) running.extended(claim) })
      return held
    },
    async complete (claim, response) {
      try {
        const found = await complete(claim, response)
        return found === 'held' || (found === 'missing' && await regained(claim) && await complete(claim, response) === 'held')
      } finally {
        running.remove(claim)
      }
    },
    async release (claim) {
      running.remove(claim)
      return await call(() => link.release(claim)) === 'held'
    },
    get,
    waitFor: (id, token, signal) => untilEnded({ get, subscribe }, id, token, signal)
  }
}

/** Makes a call once more when Redis had another generation, in which nothing of the first was done. */
function repeater (link: RedisLink): <T>(attempt: () => Promise<T>) => Promise<T> {
  return (attempt) => attempt().catch(async (error: unknown) => {
    if (!isGenerationChanged(error)) throw error
    await link.renew()
    return await attempt()
  })
}
