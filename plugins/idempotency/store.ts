import type { IdempotencyStore } from '../../services/idempotency/store.js'
import { createFailoverStore } from '../../services/idempotency/stores/failover.js'
import { createMemoryStore } from '../../services/idempotency/stores/memory.js'
import { createPostgresStore } from '../../services/idempotency/stores/postgres.js'
import { openRequestPath } from '../../services/idempotency/stores/redis-connection.js'
import { createRedisStore } from '../../services/idempotency/stores/redis.js'
import type { Log } from '../../services/log.js'
import { canTransact } from '../../services/idempotency/transact.js'
import type { TransactionClient } from '../../services/idempotency/transact.js'
import type { IdempotencyOptions, StoreOption } from './options.js'
import { defaults, hasPostgres, hasRedis } from './settings.js'

export interface OpenedStore {
  store: IdempotencyStore
  /** Closes what was opened here. Clients and a store in the option stay the application's. */
  close: () => Promise<void>
}

/** The client that opens transactions, or null where there is none. */
export function transactionsOf ({ store, transactions }: IdempotencyOptions): TransactionClient | null {
  const client = transactions ?? (hasPostgres(store) ? (store as { postgres: object }).postgres : null)
  return client !== null && canTransact(client) ? client : null
}

/** Whether the rows that transactions write are the whole store. */
export function isPostgresAlone (store: StoreOption): boolean {
  return hasPostgres(store) && !hasRedis(store)
}

/** Builds the store that the `store` option describes. */
export async function openStore ({ store, prefix = defaults.prefix }: IdempotencyOptions, log: Log): Promise<OpenedStore> {
  const close = async (): Promise<void> => {}
  if (store === 'memory') return { store: createMemoryStore(), close }
  if ('claim' in store) return { store, close }
  const postgres = store.postgres === undefined ? null : createPostgresStore({ postgres: store.postgres })
  if (store.redis === undefined) {
    if (postgres === null) throw new TypeError('a store needs redis or postgres')
    return { store: postgres, close }
  }
  const connection = await openRequestPath(store.redis, (err) => log.warn({ err }, 'the Redis connection of the idempotency store broke'))
  const redis = createRedisStore({ redis: connection, prefix })
  return { store: postgres === null ? redis : createFailoverStore({ redis, postgres, log }), close: async () => { connection.disconnect() } }
}
