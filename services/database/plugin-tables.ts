import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../log.js'
import { longestTimer } from '../options.js'
import { packageRoot } from '../package-root.js'
import { createPool } from './pool.js'
import type { Query } from './query.js'
import { createCommit } from './transact.js'
import type { PoolLike } from './transact.js'

/** Those that have tables. */
export const migratedPlugins = Object.freeze(['idempotency', 'locks', 'scheduler'] as const)

export type MigratedPlugin = typeof migratedPlugins[number]

/** All that their migrations make, and what is kept of them. */
export const pluginTables: readonly string[] = Object.freeze(['idempotency_records', 'held_locks', 'lock_force_releases', 'schedules', 'scheduler_runs', 'holdfast_migrations'])

export interface PluginTablesOptions {
  /** A URL is connected to once, and left. */
  postgres: PoolLike | string
  plugins?: readonly MigratedPlugin[]
  /** Has a folder of SQL files for each plugin, which are applied in the order of their names. Default: ours. */
  directory?: string
  /** How long another process's migration is waited for, ms. */
  deadline: number
  signal?: AbortSignal | undefined
  log: Log
}

interface Migration {
  /** `<plugin>/<file>`, as it is kept in holdfast_migrations. */
  name: string
  script: string
}

/**
 * Makes the tables of the plugins, as far as the database lacks them, and returns the names of the migrations that it has applied: all of them or none.
 * Any number of processes may call it at once. Everything is one transaction, so that a pooler in transaction mode may be in between.
 * @throws what Postgres answered, with the name of the migration; an error when another process needs longer than the deadline
 */
export async function migratePluginTables ({ postgres, plugins = migratedPlugins, directory = join(packageRoot(), 'migrations'), ...settings }: PluginTablesOptions): Promise<string[]> {
  const migrations = await readMigrations(directory, new Set(plugins))
  if (typeof postgres !== 'string') return await migrateOn(postgres, migrations, settings)
  const pool = createPool({ url: postgres, size: 1, queryTimeout: 0, log: settings.log }) // a migration of a large table takes longer than any query may
  try {
    return await migrateOn(pool, migrations, settings)
  } finally {
    await pool.end()
  }
}

async function migrateOn (pool: PoolLike, migrations: Migration[], { deadline, signal, log }: Pick<PluginTablesOptions, 'deadline' | 'signal' | 'log'>): Promise<string[]> {
  const commit = createCommit(pool)
  const end = performance.now() + deadline
  for (;;) {
    signal?.throwIfAborted()
    const names = await commit(async (query) => await isFirst(query) ? await applyMissing(query, migrations) : null, longestTimer)
    if (names !== null && names.length > 0) log.info({ migrations: names }, 'the tables of the plugins were made')
    if (names !== null) return names
    if (performance.now() > end) throw new Error(`another process has been making them for ${deadline} ms`)
    await delay(50 + Math.random() * 100, undefined, { signal })
  }
}

async function readMigrations (directory: string, plugins: Set<string>): Promise<Migration[]> {
  const ofEach = await Promise.all([...plugins].map(async (plugin) => {
    const files = (await readdir(join(directory, plugin))).filter((file) => file.endsWith('.sql')).sort()
    return await Promise.all(files.map(async (file) => ({ name: `${plugin}/${file.slice(0, -'.sql'.length)}`, script: await readFile(join(directory, plugin, file), 'utf8') })))
  }))
  return ofEach.flat()
}

/** Until the end of the transaction. Who is not asks again, instead of waiting in Postgres: a blocked waiter holds a snapshot, for which CREATE INDEX CONCURRENTLY waits. */
async function isFirst (query: Query): Promise<boolean> {
  const [row] = await query("SELECT pg_try_advisory_xact_lock(hashtextextended('holdfast:plugin_tables', 0)) AS locked", []) as Array<{ locked: boolean }>
  return row?.locked === true
}

async function applyMissing (query: Query, migrations: Migration[]): Promise<string[]> {
  const applied = await readApplied(query)
  const missing = migrations.filter(({ name }) => applied?.has(name) !== true)
  if (missing.length === 0) return [] // a role that may not create anything has nothing to create
  // IF NOT EXISTS would look in one schema only, and begin anew in one that came before that of the tables meanwhile.
  if (applied === null) await query('CREATE TABLE holdfast_migrations (name TEXT PRIMARY KEY, applied_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP)', [])
  for (const { name, script } of missing) {
    try {
      await query(script, [])
    } catch (error) {
      throw new Error(`the migration ${name} failed: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
    await query('INSERT INTO holdfast_migrations (name) VALUES ($1)', [name])
  }
  return missing.map(({ name }) => name)
}

/** Null: the bookkeeping has yet to be made. */
async function readApplied (query: Query): Promise<Set<string> | null> {
  const [table] = await query("SELECT to_regclass('holdfast_migrations') IS NOT NULL AS known", []) as Array<{ known: boolean }>
  if (table?.known !== true) return null
  return new Set((await query('SELECT name FROM holdfast_migrations', []) as Array<{ name: string }>).map(({ name }) => name))
}
