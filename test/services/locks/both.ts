import type { Test } from 'tap'
import type { LockBackend } from '../../../services/locks/backend.js'
import { createLocks } from '../../../services/locks/locks.js'
import type { LockService } from '../../../services/locks/locks.js'
import { noObserver } from '../../../services/locks/observer.js'
import { openRedisBackend } from '../../../services/locks/redis/backend.js'
import { silentLog } from '../../../services/log.js'
import { testPool, testPrefix, testRedis } from '../../helper.js'
import { openBackend } from './postgres/helper.js'

export const kinds = ['redis', 'postgres'] as const

export interface Process {
  backend: LockBackend
  locks: LockService
}

/** Locks as another process of the same application has them. `change` spoils its backend. */
export type OpenProcess = (change?: (backend: LockBackend) => LockBackend) => Promise<Process>

/** Of what is tested with both kinds of locks. */
export async function processesOf (t: Test, kind: typeof kinds[number]): Promise<OpenProcess> {
  const open = kind === 'redis' ? redisOf(t) : await postgresOf(t)
  return async (change = (backend) => backend) => {
    const backend = change(await open())
    return { backend, locks: createLocks({ backends: [backend], nextToken: null, log: silentLog, observer: noObserver }) }
  }
}

function redisOf (t: Test): () => Promise<LockBackend> {
  const [redis, prefix] = [[testRedis(t)], testPrefix()]
  return async () => {
    const backend = await openRedisBackend({ redis, prefix, log: silentLog })
    t.teardown(() => backend.close())
    return backend
  }
}

async function postgresOf (t: Test): Promise<() => Promise<LockBackend>> {
  const pool = await testPool(t)
  return async () => openBackend(t, pool)
}
