import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import type { Test } from 'tap'
import { diff } from '../../../services/database/diff.js'
import { migrate } from '../../../services/database/migrate.js'
import { silentLog } from '../../../services/log.js'
import { packageRoot } from '../../../services/package-root.js'
import { fairNow } from '../../fair-clock.js'
import { testDatabase, until } from '../../helper.js'

const prisma = join(packageRoot(), 'prisma')
const schema = await readFile(join(prisma, 'schema.prisma'), 'utf8')

async function migrationsWith (t: Test, migrations: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-migrations-'))
  t.teardown(() => rm(directory, { recursive: true }))
  await cp(join(prisma, 'migrations'), directory, { recursive: true })
  for (const [name, sql] of Object.entries(migrations)) {
    await mkdir(join(directory, name))
    await writeFile(join(directory, name, 'migration.sql'), sql)
  }
  return directory
}

const advisoryLocks = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
const askers = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%' AND pid <> pg_backend_pid()"
const shadows = "SELECT datname FROM pg_database WHERE datname ~ 'shadow'"

/** SQL that waits until the test opens the barrier. */
async function barrier (t: Test, url: string): Promise<{ sql: string, reached: () => Promise<boolean>, open: () => Promise<unknown> }> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  await client.query('SELECT pg_advisory_lock(1, 1)')
  return {
    sql: 'SELECT pg_advisory_xact_lock(1, 1);',
    reached: async () => (await client.query(`${advisoryLocks} AND NOT granted`)).rowCount === 1,
    open: () => client.query('SELECT pg_advisory_unlock(1, 1)')
  }
}

const emptyDatabase = (t: Test): Promise<string> => testDatabase(t, 'template0')

async function query (url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query(sql)
  await client.end()
  return rows
}

await t.test('of ten callers at once one applies each migration, and all of them return', async (t) => {
  const url = await emptyDatabase(t)
  const { sql, open } = await barrier(t, url)
  const directory = await migrationsWith(t, { '29990101000000_slow': `CREATE TABLE slow (a int); ${sql}` })
  const callers = Promise.all(Array.from({ length: 10 }, () => migrate({ url, directory, log: silentLog, deadline: 30_000 })))
  await until('nine have asked for the lock', async () => (await query(url, askers)).length === 9)
  await open()
  const results = await callers
  t.equal(results.filter((names) => names.includes('29990101000000_slow')).length, 1)
  t.equal(results.flat().length, new Set(results.flat()).size)
  t.strictSame(await migrate({ url, directory, log: silentLog, deadline: 1_000 }), [])
})

await t.test('a migration is one script: functions with semicolons work, and one that fails leaves nothing of itself', async (t) => {
  const url = await emptyDatabase(t)
  const body = "CREATE FUNCTION two() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; RETURN 2; END $$; CREATE TABLE \"a;b\" (a text DEFAULT ';');"
  const directory = await migrationsWith(t, { '29990101000000_function': body, '29990102000000_half': 'CREATE TABLE half (a int); SELECT 1/0;' })
  await t.rejects(migrate({ url, directory, log: silentLog, deadline: 1_000 }), { message: /division by zero/ })
  t.strictSame(await query(url, 'SELECT two() AS two'), [{ two: 2 }])
  t.strictSame(await query(url, "SELECT to_regclass('half') AS half"), [{ half: null }])
})

await t.test('a migration that fails is reported with the database\'s reason, and gives the lock back', async (t) => {
  const url = await emptyDatabase(t)
  const directory = await migrationsWith(t, { '29990101000000_broken': 'ALTER TABLE nothing_has_this_name ADD COLUMN a int;' })
  await t.rejects(migrate({ url, directory, log: silentLog, deadline: 1_000 }), { message: /nothing_has_this_name/ })
  const rows = await query(url, advisoryLocks)
  t.strictSame(rows, [])
})

await t.test('a wait for another process\'s migration ends at the deadline', async (t) => {
  const url = await emptyDatabase(t)
  const { sql, reached, open } = await barrier(t, url)
  const directory = await migrationsWith(t, { '29990101000000_slow': `CREATE TABLE slow (a int); ${sql}` })
  const first = migrate({ url, directory, log: silentLog, deadline: 30_000 })
  await until('the first one is in the middle of it', reached)
  const start = fairNow()
  await t.rejects(migrate({ url, directory, log: silentLog, deadline: 200 }), { message: /another process has been migrating the database for 200 ms/ })
  t.ok(fairNow() - start < 2_000)
  await open()
  await first
})

await t.test('the migrations lead to the schema', async (t) => {
  t.equal(await diff({ url: await testDatabase(t), directory: join(prisma, 'migrations'), schema }), null)
})

await t.test('a change of the schema becomes the SQL of the next migration', async (t) => {
  const changed = schema.replace('platform     String', 'platform     String\n  note         String?')
  t.not(changed, schema)
  const url = await testDatabase(t)
  const before = await query(url, shadows)
  const sql = await diff({ url, directory: join(prisma, 'migrations'), schema: changed })
  t.strictSame(await query(url, shadows), before, 'the shadow database is gone')
  t.match(sql, /ALTER TABLE "shares" ADD COLUMN\s+"note" TEXT;/)
})

await t.test('tables and columns are snake_case and tables plural', async (t) => {
  const url = await testDatabase(t)
  const rows = await query(url, "SELECT DISTINCT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_name !~ '^_'") as Array<{ name: string }>
  t.strictSame(rows.map(({ name }) => name).sort(), ['feature_flags', 'held_locks', 'holdfast_migrations', 'idempotency_records', 'lock_force_releases', 'scheduler_runs', 'schedules', 'shares', 'users'])
  t.strictSame(await query(url, "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name <> lower(column_name)"), [])
})
