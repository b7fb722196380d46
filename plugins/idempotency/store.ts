import type { IdempotencyStore } from '../../services/idempotency/store.js'
import type { Observer } from '../../services/idempotency/observer.js'
import { openFailoverStore } from '../../services/idempotency/stores/failover.js'
import { createMemoryStore } from '../../services/idempotency/stores/memory.js'
import { createPostgresStore } from '../../services/idempotency/stores/postgres.js'
import { openRequestPath } from '../../services/idempotency/stores/redis-connection.js'
import { createRedisLink } from '../../services/idempotency/stores/redis-link.js'
import { createRedisStore } from '../../services/idempotency/stores/redis.js'
import type { Log } from '../../services/log.js'
import type { IdempotencyOptions } from './options.js'
import { defaults } from './settings.js'

export interface OpenedStore {
  store: IdempotencyStore
  /** Closes what was opened here. Clients and a store in the option stay the application's. */
  close: () => Promise<void>
}

/** Builds the store that the `store` option describes. */
export async function openStore ({ store, prefix = defaults.prefix }: IdempotencyOptions, log: Log, observer: Observer): Promise<OpenedStore> {
  const close = async (): Promise<void> => {}
  if (store === 'memory') return { store: createMemoryStore(), close }
  if ('claim' in store) return { store, close }
  const postgres = store.postgres === undefined ? null : createPostgresStore({ postgres: store.postgres })
  if (store.redis === undefined) {
    if (postgres === null) throw new TypeError('a store needs redis or postgres')
    return { store: postgres, close }
  }
  const connection = await openRequestPath(store.redis, (err) => { log.warn({ err }, 'the Redis connection of the idempotency store broke') })
  if (postgres === null) return { store: createRedisStore({ redis: connection, prefix }), close: async () => { connection.disconnect() } }
  const failover = await openFailoverStore({ redis: (onConnectionLost) => createRedisLink({ redis: connection, prefix, onConnectionLost }), postgres, log, observer })
  return {
    store: failover,
    async close () {
      await failover.close()
      connection.disconnect()
    }
  }
}
