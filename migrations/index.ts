import type { Pool } from 'pg'
import { migratedPlugins, migratePluginTables } from '../services/database/plugin-tables.js'
import type { MigratedPlugin } from '../services/database/plugin-tables.js'
import { silentLog } from '../services/log.js'
import type { Log } from '../services/log.js'
import { abortSignal, invalidOption, isObject, listOf, oneOf, timer } from '../services/options.js'
import type { Rules } from '../services/options.js'
import { FST_MIGRATIONS_FAILED, FST_MIGRATIONS_OPTION_INVALID } from './errors.js'

export interface MigrateOptions {
  /** A pg.Pool, or the URL of a database: then a connection of our own is opened and closed. The role needs CREATE on the schema while something is missing. */
  postgres: Pool | string
  /**
   * Whose tables.
   * @default ['idempotency', 'locks', 'scheduler']
   */
  plugins?: readonly MigratedPlugin[]
  /**
   * How long another process that does the same is waited for, ms.
   * @default 30_000
   */
  deadline?: number
  /** Ends that wait. */
  signal?: AbortSignal
  /**
   * Of pino, such as `fastify.log`.
   * @default none
   */
  log?: Log
}

const url = /^postgres(ql)?:\/\/./

const rules: Rules<MigrateOptions> = {
  postgres: { expected: 'a pg.Pool or a URL of Postgres, postgres://…', accepts: (value) => typeof value === 'string' ? url.test(value) : isObject(value) && 'connect' in value && 'query' in value },
  plugins: listOf(oneOf(...migratedPlugins)),
  deadline: timer,
  signal: abortSignal,
  log: { expected: 'a logger with debug, info, warn and error', accepts: (value) => isObject(value) && 'info' in value && 'warn' in value }
}

/**
 * Makes the tables of the plugins in a database of your own, as far as it lacks them. Call it before the plugins are registered, in every process or in a
 * step of your deployment: of any number of processes one does it, in one transaction, and the others then find nothing to do. What was applied is kept in
 * the table holdfast_migrations. Nothing else of the database is touched. See README.md.
 * @returns the names of the migrations that were applied by this call, such as `locks/0001_locks`
 * @throws FST_MIGRATIONS_OPTION_INVALID; FST_MIGRATIONS_FAILED, when Postgres refused or could not be had; the reason of `signal`. It may be called again
 * @example
 * ```ts
 * import { migrate } from 'holdfast/migrations'
 *
 * await migrate({ postgres: pool, plugins: ['idempotency'], log: app.log })
 * ```
 */
export async function migrate (options: MigrateOptions): Promise<string[]> {
  const problem = invalidOption({ ...options, postgres: options.postgres ?? null }, rules)
  if (problem !== null) throw new FST_MIGRATIONS_OPTION_INVALID(problem)
  const { postgres, plugins = migratedPlugins, deadline = 30_000, signal, log = silentLog } = options
  try {
    return await migratePluginTables({ postgres, plugins, deadline, signal, log })
  } catch (error) {
    signal?.throwIfAborted()
    throw Object.assign(new FST_MIGRATIONS_FAILED(error instanceof Error ? error.message : String(error)), { cause: error })
  }
}

export * from './errors.js'
export type { MigratedPlugin }
