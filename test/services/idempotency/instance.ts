import { once } from 'node:events'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { noObserver } from '../../../services/idempotency/observer.js'
import { openFailoverStore } from '../../../services/idempotency/stores/failover.js'
import { createPostgresStore } from '../../../services/idempotency/stores/postgres.js'
import type { PostgresStore } from '../../../services/idempotency/stores/postgres.js'
import { openRequestPath } from '../../../services/redis/connection.js'
import { createRedisLink } from '../../../services/idempotency/stores/redis-link.js'
import type { RedisLink } from '../../../services/idempotency/stores/redis-link.js'
import { createRedisStore } from '../../../services/idempotency/stores/redis.js'
import type { Timings } from '../../../services/idempotency/stores/tier.js'
import type { IdempotencyStore } from '../../../services/idempotency/store.js'
import { silentLog } from '../../../services/log.js'
import { testPool, until } from '../../helper.js'
import { newClaim } from './conformance.js'

export const retryAfter = 200

/** ms that Postgres goes on deciding after an outage */
export const settling = 500

export interface Instance {
  store: IdempotencyStore
  redis: IdempotencyStore
  postgres: PostgresStore
  /** Whether Redis is used, as the metrics say. */
  usesRedis: () => boolean
  /** Lets time pass for the store's own clock, ms. */
  skip: (ms: number) => void
  /** Breaks its Redis connection, which is made again at once. */
  reset: () => Promise<void>
  /** Until its Redis connection is ready. */
  reconnected: () => Promise<void>
}

/** What one process of the application has, over the connection that the plugin makes. `wrap` may damage what Redis answers. */
export async function instance (t: Test, { url }: { url: string }, postgres: PostgresStore, wrap = (link: RedisLink): RedisLink => link, timings: Partial<Timings> = {}): Promise<Instance> {
  const client = new Redis(url, { lazyConnect: true })
  const connection = await openRequestPath(client, () => {})
  let [skipped, state] = [0, 0]
  const store = await openFailoverStore({
    redis: (onConnectionLost) => wrap(createRedisLink({ redis: connection, prefix: 'test', onConnectionLost })),
    postgres,
    log: silentLog,
    observer: { ...noObserver, state: (_name, value) => { state = value } },
    timings: { retryAfter, settle: settling, ...timings },
    now: () => performance.now() + skipped
  })
  t.teardown(async () => {
    await store.close()
    connection.disconnect()
    client.disconnect()
  })
  const redis = createRedisStore({ redis: connection, prefix: 'test' })
  return {
    store,
    redis,
    postgres,
    usesRedis: () => state === 1,
    skip: (ms) => { skipped += ms },
    async reset () {
      const closed = once(connection, 'close')
      if (connection instanceof Redis) connection.stream.destroy()
      await closed
    },
    reconnected: async () => { await until('Redis is connected again', () => connection.status === 'ready') }
  }
}

export async function ownPostgres (t: Test): Promise<PostgresStore> {
  return createPostgresStore({ postgres: await testPool(t) })
}

/** Until claims are made in Redis again, and there only. */
export async function served (by: Instance): Promise<void> {
  await by.reconnected()
  await until('claims are made in Redis again', async () => {
    const claim = newClaim()
    await by.store.claim(claim)
    return await by.redis.get(claim.id) !== null && await by.postgres.get(claim.id) === null
  })
}
