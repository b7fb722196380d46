import { queryOf } from '../../services/database/query.js'
import type { Query } from '../../services/database/query.js'
import { FST_LOCKS_USAGE } from '../../services/locks/errors.js'
import type { LockService } from '../../services/locks/locks.js'
import type { BackendName } from '../../services/locks/observer.js'
import { createAdvisoryLocks } from '../../services/locks/postgres/advisory.js'
import { createRegistry } from '../../services/locks/postgres/registry.js'
import type { RedisBackend } from '../../services/locks/redis/backend.js'
import { backendRule } from '../../services/locks/settings.js'
import type { Log } from '../../services/log.js'
import { invalidOption } from '../../services/options.js'
import type { ResolvedOptions } from './options.js'
import type { AppLocks } from './types.js'

export interface DecoratorDeps {
  locks: LockService
  redis: RedisBackend | null
  options: ResolvedOptions
  log: Log
}

type IsLocked = (name: string) => Promise<boolean>

const refuse: Query = async () => { throw new FST_LOCKS_USAGE('this is known of locks in Postgres, and needs the option `postgres` of the plugin') }

/** What applications see of the locks. Without Postgres, what needs it refuses. */
export function createDecorator ({ locks, redis, options: { postgres, prefix }, log }: DecoratorDeps): AppLocks {
  const registry = createRegistry({ query: postgres === undefined ? refuse : queryOf(postgres), namespace: prefix, log })
  return {
    using: (names, options, routine) => locks.using(names, options, routine),
    tryUsing: locks.tryUsing,
    acquire: locks.acquire,
    ...registry,
    isLocked: createIsLocked({ redis: redis?.isLocked, postgres: postgres && registry.isLocked }),
    advisory: createAdvisoryLocks({ locks, registry, namespace: prefix })
  }
}

function createIsLocked (backends: Record<BackendName, IsLocked | undefined>): AppLocks['isLocked'] {
  return async (name, options = {}) => {
    const problem = invalidOption(options, { backend: backendRule })
    if (problem !== null) throw new FST_LOCKS_USAGE(problem)
    const { backend } = options
    if (backend !== undefined && backends[backend] === undefined) throw new FST_LOCKS_USAGE(`the backend '${backend}' needs the option \`${backend}\` of the plugin`)
    const asked = backend === undefined ? Object.values(backends) : [backends[backend]]
    return (await Promise.all(asked.map(async (isLocked) => await isLocked?.(name)))).includes(true)
  }
}
