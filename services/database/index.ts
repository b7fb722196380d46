import { join } from 'node:path'
import { PrismaPg } from '@prisma/adapter-pg'
import type { Pool } from 'pg'
import { PrismaClient } from '../../prisma/generated/client.js'
import { once } from '../concurrency/once.js'
import type { Log } from '../log.js'
import { packageRoot } from '../package-root.js'
import { connect } from './connect.js'
import { permanentReason } from './errors.js'
import { guardAdapter } from './guarded-adapter.js'
import type { Guard } from './guarded-adapter.js'
import { migrate } from './migrate.js'
import { migratePluginTables } from './plugin-tables.js'
import { createPool } from './pool.js'

export interface DatabaseOptions {
  url: string
  /** Of Postgres itself, where `url` is a pooler's: the lock of the migrations belongs to a session. Default: `url`. */
  directUrl?: string | undefined
  /** Connections at most. Default: 10. */
  poolSize?: number
  /** How long a starting server, or another process's migration, is waited for, ms. Default: 30,000. */
  deadline?: number
  /** Ends those waits. */
  signal?: AbortSignal
  /** In front of all that Prisma does with the pool. Default: none. */
  guard?: Guard
  log: Log
}

export interface Database {
  /** The pool that Prisma uses too. */
  pg: Pool
  prisma: PrismaClient
  /** Connects, single-flight. A transient failure is forgotten, so that the next call tries again; a permanent one is kept. */
  connect: () => Promise<void>
  /** Applies the missing migrations, of the application and then of the plugins, single-flight and under a lock across processes. Returns their names. */
  migrate: () => Promise<string[]>
  close: () => Promise<void>
}

export function createDatabase ({ url, directUrl = url, poolSize: size = 10, deadline = 30_000, signal: abort, guard, log }: DatabaseOptions): Database {
  const pool = createPool({ url, size, log })
  const adapter = new PrismaPg(pool)
  const prisma = new PrismaClient({ adapter: guard === undefined ? adapter : guardAdapter(adapter, guard) })
  const closing = new AbortController()
  const signal = abort === undefined ? closing.signal : AbortSignal.any([abort, closing.signal])
  return {
    pg: pool,
    prisma,
    connect: once(() => connect(pool, { deadline, log, signal }), { isPermanent: (error) => permanentReason(error) !== null }),
    migrate: once(async () => [
      ...await migrate({ url: directUrl, directory: join(packageRoot(), 'prisma', 'migrations'), deadline, log, signal }),
      ...await migratePluginTables({ postgres: directUrl, deadline, log, signal })
    ]),
    close: once(async () => {
      closing.abort(new Error('the database was closed'))
      await prisma.$disconnect()
      await pool.end()
    })
  }
}
