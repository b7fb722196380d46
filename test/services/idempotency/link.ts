import { Redis } from 'ioredis'
import type { RedisOptions } from 'ioredis'
import type { Test } from 'tap'
import { openRequestPath } from '../../../services/redis/connection.js'
import { createRedisLink } from '../../../services/idempotency/stores/redis-link.js'
import type { RedisLink } from '../../../services/idempotency/stores/redis-link.js'
import { until } from '../../helper.js'

export const prefix = 'test'

export interface Linked {
  link: RedisLink
  /** The connection of the link. */
  connection: Redis
  /** A client of the test's own. */
  client: Redis
  /** Until the link's connection is ready. */
  reconnected: () => Promise<void>
}

/** What one process has, once it knows the generation. */
export async function linked (t: Test, { url }: { url: string }, options: RedisOptions = {}): Promise<Linked> {
  const client = new Redis(url)
  client.on('error', () => {})
  const target = new Redis(url, { lazyConnect: true, ...options })
  const connection = await openRequestPath(target, () => {}) as Redis
  const link = createRedisLink({ redis: connection, prefix })
  t.teardown(async () => {
    await link.close()
    connection.disconnect()
    target.disconnect()
    client.disconnect()
  })
  await link.renew()
  return { link, connection, client, reconnected: async () => { await until('Redis is connected again', () => connection.status === 'ready') } }
}

/** How often the server executed the command since CONFIG RESETSTAT. */
export async function callsOf (client: Redis, command: string): Promise<number> {
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await client.info('commandstats'))?.[1] ?? 0)
}
