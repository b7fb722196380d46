import type { LockBackend } from '../../services/locks/backend.js'
import { openRedisBackend } from '../../services/locks/redis/backend.js'
import type { Log } from '../../services/log.js'
import { defaults } from './options.js'
import type { LocksOptions } from './options.js'

export interface OpenedBackends {
  /** The first one is the default. */
  backends: LockBackend[]
  nextToken: (() => Promise<bigint>) | null
}

/** Opens what the options describe. */
export async function openBackends ({ redis, postgres, prefix = defaults.prefix }: LocksOptions, log: Log): Promise<OpenedBackends> {
  const clients = redis === undefined ? [] : [redis].flat()
  const backends = clients.length === 0 ? [] : [await openRedisBackend({ redis: clients, prefix, log })]
  return postgres === undefined ? { backends, nextToken: null } : { backends: [...backends, postgres.backend], nextToken: postgres.nextToken }
}
