import { FST_LOCKS_USAGE } from '../../services/locks/errors.js'
import type { LockService } from '../../services/locks/locks.js'
import { createAdvisoryLocks } from '../../services/locks/postgres/advisory.js'
import { queryOf } from '../../services/locks/postgres/query.js'
import type { Query } from '../../services/locks/postgres/query.js'
import { createRegistry } from '../../services/locks/postgres/registry.js'
import type { Log } from '../../services/log.js'
import type { ResolvedOptions } from './options.js'
import type { AppLocks } from './types.js'

const refuse: Query = async () => { throw new FST_LOCKS_USAGE('this is known of locks in Postgres, and needs the option `postgres` of the plugin') }

/** What applications see of the locks. Without Postgres, what needs it refuses. */
export function createDecorator (locks: LockService, { postgres, prefix }: ResolvedOptions, log: Log): AppLocks {
  const registry = createRegistry({ query: postgres === undefined ? refuse : queryOf(postgres), namespace: prefix, log })
  return {
    using: (names, options, routine) => locks.using(names, options, routine),
    tryUsing: locks.tryUsing,
    acquire: (names, options) => locks.acquire(names, options),
    ...registry,
    advisory: createAdvisoryLocks({ locks, registry, namespace: prefix })
  }
}
