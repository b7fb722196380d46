import type { Cluster, Redis } from 'ioredis'
import { answered } from '../redis/deadline.js'

/**
 * Input: KEYS[1] the window of a key; ARGV[1] points; ARGV[2] length of a window, ms.
 * Output: [points that were taken in this window, ms until it ends]
 */
const script = `
redis.call('SET', KEYS[1], 0, 'PX', ARGV[2], 'NX')
local taken = redis.call('INCRBY', KEYS[1], ARGV[1])
return { taken, redis.call('PTTL', KEYS[1]) }
`

interface WithConsume {
  holdfastConsume: (key: string, points: string, duration: string) => Promise<[number, number]>
}

/** What rate-limiter-flexible calls of a client. */
export interface Consumer {
  rlflxIncr: (args: [key: string, points: string, duration: string]) => Promise<[number, number]>
}

/**
 * Stands between rate-limiter-flexible and the application's client: it would define its script there, under a name that another user of the library on
 * the same client defines anew, and wait for as long as the client does. Points that are taken too late all the same end with their window.
 */
export function createConsumer (redis: Redis | Cluster, timeout: number): { client: Consumer, script: string } {
  redis.defineCommand('holdfastConsume', { numberOfKeys: 1, lua: script })
  const consuming = redis as unknown as WithConsume
  return { client: { rlflxIncr: ([key, points, duration]) => answered(consuming.holdfastConsume(key, points, duration), timeout) }, script }
}
