import { DatabaseError } from 'pg'
import { isTransient, unusableDatabase } from '../../services/database/errors.js'
import type { LockBackend } from '../../services/locks/backend.js'
import { connectionOf } from '../../services/locks/postgres/connection.js'
import { createSessionBackend } from '../../services/locks/postgres/session-backend.js'
import type { SessionBackend } from '../../services/locks/postgres/session-backend.js'
import { openRedisBackend } from '../../services/locks/redis/backend.js'
import type { RedisBackend } from '../../services/locks/redis/backend.js'
import type { Log } from '../../services/log.js'
import { FST_LOCKS_OPTION_INVALID, FST_LOCKS_USAGE } from './errors.js'
import type { ResolvedOptions } from './options.js'

export interface OpenedBackends {
  redis: RedisBackend | null
  /** The first one is the default. */
  backends: LockBackend[]
  nextToken: (() => Promise<bigint>) | null
}

/** Opens what the options describe, or nothing when it throws. */
export async function openBackends ({ redis: given, postgres, directUrl, prefix }: ResolvedOptions, log: Log): Promise<OpenedBackends> {
  const session = postgres === undefined ? null : createSessionBackend({ connection: connectionOf(postgres, directUrl), namespace: prefix, log })
  if (session !== null) await connect(session, log)
  const redis = given === undefined
    ? null
    : await openRedisBackend({ redis: [given].flat(), prefix, log }).catch(async (error: unknown) => {
      await session?.close()
      throw error
    })
  return { redis, backends: [redis, session].filter((backend) => backend !== null), nextToken: session?.nextToken ?? null }
}

/** A Postgres that is away comes back; one that refuses us, or a pooler in between, is a mistake that a boot has to tell. */
async function connect (session: SessionBackend, log: Log): Promise<void> {
  try {
    await session.open()
  } catch (error) {
    const isRefused = error instanceof DatabaseError && !isTransient(error)
    if (isRefused) throw Object.assign(new FST_LOCKS_OPTION_INVALID(unusableDatabase('postgres', error)), { cause: error })
    if (error instanceof FST_LOCKS_USAGE) throw error
    log.warn({ err: error }, 'Postgres cannot be had: locks in it are refused until it can')
  }
}
