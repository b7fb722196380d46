import { isSchemaError, isTransient, permanentReason, unusableDatabase } from '../../services/database/errors.js'
import type { IdempotencyStore } from '../../services/idempotency/store.js'
import type { Observer } from '../../services/idempotency/observer.js'
import { openFailoverStore } from '../../services/idempotency/stores/failover.js'
import { createMemoryStore } from '../../services/idempotency/stores/memory.js'
import { observeLink, observePostgres, observeStore } from '../../services/idempotency/stores/observed.js'
import { createPostgresStore } from '../../services/idempotency/stores/postgres.js'
import type { PostgresStore } from '../../services/idempotency/stores/postgres.js'
import { openRequestPath } from '../../services/redis/connection.js'
import { createRedisLink } from '../../services/idempotency/stores/redis-link.js'
import type { RedisLink } from '../../services/idempotency/stores/redis-link.js'
import { isOutage } from '../../services/idempotency/stores/redis-outage.js'
import { createRedisStore } from '../../services/idempotency/stores/redis.js'
import type { Log } from '../../services/log.js'
import { withinTime } from '../../services/within-time.js'
import type { PgLike, PrismaLike } from '../../services/database/query.js'
import { canTransact } from '../../services/database/transact.js'
import type { TransactionClient } from '../../services/database/transact.js'
import { FST_IDEMPOTENCY_OPTION_INVALID } from './errors.js'
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
export async function openStore ({ store, prefix = defaults.prefix }: IdempotencyOptions, log: Log, observer: Observer): Promise<OpenedStore> {
  const close = async (): Promise<void> => {}
  if (store === 'memory') return { store: observeStore(createMemoryStore(), { store: 'memory', observer }), close }
  if ('claim' in store) return { store: observeStore(store, { store: 'custom', observer }), close }
  const postgres = store.postgres === undefined ? null : observePostgres(await openPostgres(store.postgres, log), { store: 'postgres', observer, isOutage: isTransient })
  if (store.redis === undefined) {
    if (postgres === null) throw new TypeError('a store needs redis or postgres')
    return { store: postgres, close }
  }
  const connection = await openRequestPath(store.redis, (err) => { log.warn({ err }, 'the Redis connection of the idempotency store broke') })
  if (postgres === null) return { store: observeStore(createRedisStore({ redis: connection, prefix }), { store: 'redis', observer, isOutage }), close: async () => { connection.disconnect() } }
  const link = (onConnectionLost: () => void): RedisLink =>
    observeLink(createRedisLink({ redis: connection, prefix, onConnectionLost }), { store: 'redis', observer, isOutage: null })
  const failover = await openFailoverStore({ redis: link, postgres, log, observer })
  return {
    store: failover,
    async close () {
      await failover.close()
      connection.disconnect()
    }
  }
}

/** How long a boot waits for Postgres, ms. Requests find out for themselves. */
const patience = 2_000

/** A Postgres that is away comes back; one that refuses us, or has no table, is a mistake that a boot has to tell: requests would run unprotected. */
async function openPostgres (postgres: PgLike | PrismaLike, log: Log): Promise<PostgresStore> {
  const store = createPostgresStore({ postgres })
  try {
    if (!await withinTime(store.get('00'), patience)) log.warn({}, 'Postgres does not answer: claims in it fail until it does')
  } catch (error) {
    if (isSchemaError(error) || permanentReason(error) !== null) throw Object.assign(new FST_IDEMPOTENCY_OPTION_INVALID(unusableDatabase('store.postgres', error)), { cause: error })
    log.warn({ err: error }, 'Postgres cannot be had: claims in it fail until it can')
  }
  return store
}
