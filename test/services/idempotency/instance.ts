import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { openFailoverStore } from '../../../services/idempotency/stores/failover.js'
import { createPostgresStore } from '../../../services/idempotency/stores/postgres.js'
import type { PostgresStore } from '../../../services/idempotency/stores/postgres.js'
import { openRequestPath } from '../../../services/idempotency/stores/redis-connection.js'
import { createRedisLink } from '../../../services/idempotency/stores/redis-link.js'
import type { RedisLink } from '../../../services/idempotency/stores/redis-link.js'
import { createRedisStore } from '../../../services/idempotency/stores/redis.js'
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
  /** Lets time pass for the store's own clock, ms. */
  skip: (ms: number) => void
  /** Until its Redis connection is ready. */
  reconnected: () => Promise<void>
}

/** What one process of the application has, over the connection that the plugin makes. `wrap` may damage what Redis answers. */
export async function instance (t: Test, { url }: { url: string }, postgres: PostgresStore, wrap = (link: RedisLink): RedisLink => link): Promise<Instance> {
  const client = new Redis(url, { lazyConnect: true })
  const connection = await openRequestPath(client, () => {})
  let skipped = 0
  const store = await openFailoverStore({
    redis: (onConnectionLost) => wrap(createRedisLink({ redis: connection, prefix: 'test', onConnectionLost })),
    postgres,
    log: silentLog,
    timings: { retryAfter, settle: settling },
    now: () => performance.now() + skipped
  })
  t.teardown(async () => {
    await store.close()
    connection.disconnect()
    client.disconnect()
  })
  const redis = createRedisStore({ redis: connection, prefix: 'test' })
  return { store, redis, skip: (ms) => { skipped += ms }, reconnected: async () => { await until('Redis is connected again', () => connection.status === 'ready') } }
}

export async function ownPostgres (t: Test): Promise<PostgresStore> {
  return createPostgresStore({ postgres: await testPool(t) })
}

/** Until claims are made in Redis again. */
export async function served (by: Instance): Promise<void> {
  await by.reconnected()
  await until('claims are made in Redis again', async () => {
    const claim = newClaim()
    await by.store.claim(claim)
    return await by.redis.get(claim.id) !== null
  })
}
