import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { MigrationList } from '@prisma/schema-engine-wasm/schema_engine_bg'
import pg from 'pg'
import type { Log } from '../log.js'
import { createMigrationAdapter } from './migration-adapter.js'
import { readMigrations } from './migrations.js'
import { createSchemaEngine } from './schema-engine.js'

export interface MigrateOptions {
  url: string
  /** Folder of migrations in the Prisma CLI's format. */
  directory: string
  log: Log
  /** How long another process's migration is waited for, ms. */
  deadline: number
  signal?: AbortSignal
}

/**
 * Applies the migrations that the database lacks and returns their names. Safe to call in any number of processes at once:
 * an advisory lock lets one of them work, and the others then find nothing left to do. It uses connections of its own, because a caller
 * that holds the lock and waits for a second connection of a full pool would wait for ever.
 */
export async function migrate (options: MigrateOptions): Promise<string[]> {
  const migrations = await readMigrations(options.directory)
  const client = new pg.Client({ connectionString: options.url, application_name: 'holdfast migrations' })
  client.on('error', (err) => options.log.warn({ err }, 'the connection that holds the migration lock broke'))
  await client.connect()
  try {
    if (!await isBehind(client, migrations)) return []
    return await withMigrationLock(client, options, async () => {
      if (!await isBehind(client, migrations)) return []
      const names = await apply(options, migrations)
      options.log.info({ migrations: names }, 'database migrated')
      return names
    })
  } finally {
    await client.end()
  }
}

async function apply ({ url, log }: MigrateOptions, migrationsList: MigrationList): Promise<string[]> {
  const adapter = createMigrationAdapter(url, log)
  const engine = await createSchemaEngine(adapter)
  try {
    const { appliedMigrationNames } = await engine.applyMigrations({ migrationsList, filters: { externalTables: [], externalEnums: [] } })
    return appliedMigrationNames
  } finally {
    engine.free()
    await adapter.close()
  }
}

/** Compares names with Prisma's own table, so that a boot with nothing to do never loads the engine. */
async function isBehind (client: pg.Client, { migrationDirectories }: MigrationList): Promise<boolean> {
  const { rows: [table] } = await client.query<{ known: boolean }>('SELECT to_regclass(\'_prisma_migrations\') IS NOT NULL AS known')
  if (table?.known !== true) return true
  const { rows } = await client.query<{ name: string }>('SELECT migration_name AS name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL')
  const applied = new Set(rows.map(({ name }) => name))
  return migrationDirectories.some(({ path }) => !applied.has(path))
}

const lockKey = createHash('sha256').update('holdfast:migrations').digest().readBigInt64BE(0).toString()

/** Polls instead of waiting inside Postgres: a blocked waiter holds a snapshot, and CREATE INDEX CONCURRENTLY waits for every snapshot. */
async function withMigrationLock<T> (client: pg.Client, { deadline, signal }: MigrateOptions, work: () => Promise<T>): Promise<T> {
  const end = performance.now() + deadline
  while (!await tryLock(client)) {
    if (performance.now() > end) throw new Error(`another process has been migrating the database for ${deadline} ms`)
    await delay(50 + Math.random() * 100, undefined, { signal })
  }
  try {
    return await work()
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [lockKey])
  }
}

async function tryLock (client: pg.Client): Promise<boolean> {
  const { rows: [row] } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1) AS locked', [lockKey])
  return row?.locked === true
}
