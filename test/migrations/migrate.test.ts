import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import t from 'tap'
import type { Test } from 'tap'
import { migrate } from '../../migrations/index.js'
import { migratePluginTables, pluginTables } from '../../services/database/plugin-tables.js'
import { silentLog as log } from '../../services/log.js'
import { packageRoot } from '../../services/package-root.js'
import { openPool, testDatabase, testPool, until } from '../helper.js'
import { urlOf } from '../services/locks/postgres/helper.js'
import { startPgbouncer } from '../services/locks/postgres/pgbouncer.js'

const first = ['idempotency/0001_records', 'locks/0001_locks', 'scheduler/0001_scheduler']

const emptyPool = async (t: Test): Promise<pg.Pool> => openPool(t, await testDatabase(t, 'template0'), 20)

async function tablesOf (pool: pg.Pool): Promise<unknown[]> {
  const { rows } = await pool.query<{ name: string }>("SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1")
  return rows.map(({ name }) => name)
}

/** All that says what a table is. */
async function shapeOf (pool: pg.Pool): Promise<unknown[]> {
  const asked = [
    'SELECT table_name, column_name, data_type, datetime_precision, is_nullable, column_default FROM information_schema.columns WHERE table_name = ANY($1) ORDER BY 1, 2',
    'SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY($1) ORDER BY 1',
    'SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid::regclass::text = ANY($1) ORDER BY 1',
    'SELECT relname, relpersistence FROM pg_class WHERE relname = ANY($1) ORDER BY 1',
    'SELECT sequencename, data_type, start_value, increment_by, cycle, cache_size FROM pg_sequences WHERE $1::text[] IS NOT NULL ORDER BY 1'
  ]
  return await Promise.all(asked.map(async (sql) => (await pool.query(sql, [pluginTables])).rows))
}

await t.test('a database of somebody else gets the tables of the plugins, and no others', async (t) => {
  const pool = await emptyPool(t)
  t.strictSame(await migrate({ postgres: pool }), first)
  t.strictSame(await tablesOf(pool), [...pluginTables].sort())
  t.strictSame(await migrate({ postgres: pool }), [], 'once')
})

await t.test('they are those that the reference server has', async (t) => {
  const [ours, theirs] = [await testPool(t), await emptyPool(t)]
  t.strictSame(await migrate({ postgres: ours }), [], 'it has them already')
  await migrate({ postgres: theirs })
  t.strictSame(await shapeOf(theirs), await shapeOf(ours))
})

await t.test('of ten callers at once one makes them, and all of them return', async (t) => {
  const pool = await emptyPool(t)
  const names = await Promise.all(Array.from({ length: 10 }, () => migrate({ postgres: pool })))
  t.strictSame(names.flat().sort(), first)
})

await t.test('the tables of some plugins, and those of others later', async (t) => {
  const pool = await emptyPool(t)
  t.strictSame(await migrate({ postgres: pool, plugins: ['locks', 'locks'] }), ['locks/0001_locks'])
  t.strictSame(await tablesOf(pool), ['held_locks', 'holdfast_migrations', 'lock_force_releases'])
  t.strictSame(await migrate({ postgres: pool }), ['idempotency/0001_records', 'scheduler/0001_scheduler'])
})

await t.test('a URL is connected to, and left', async (t) => {
  const postgres = await testDatabase(t, 'template0')
  await migrate({ postgres })
  const pool = openPool(t, postgres, 1)
  const others = async (): Promise<boolean> => (await pool.query('SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()')).rowCount === 0
  await until('nobody is connected', others)
})

await t.test('a table of the application that has the name of one stays as it is: nothing is made', async (t) => {
  const pool = await emptyPool(t)
  await pool.query('CREATE TABLE schedules (train text)')
  await t.rejects(migrate({ postgres: pool }), {
    code: 'FST_MIGRATIONS_FAILED', message: 'the tables of Holdfast were not made: the migration scheduler/0001_scheduler failed: relation "schedules" already exists'
  })
  t.strictSame(await tablesOf(pool), ['schedules'])
  t.strictSame((await pool.query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")).rows, [])
})

await t.test('a role that may create nothing finds that nothing is missing', async (t) => {
  const pool = await emptyPool(t)
  await migrate({ postgres: pool })
  const role = `reader_${Date.now()}`
  await pool.query(`CREATE ROLE ${role}; GRANT SELECT ON holdfast_migrations TO ${role}`)
  t.teardown(async () => { await pool.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`) })
  const restricted = openPool(t, Object.assign(new URL(urlOf(pool)), { search: `options=-c role=${role}` }).href, 1)
  t.strictSame((await restricted.query('SELECT current_user AS role')).rows, [{ role }])
  t.strictSame(await migrate({ postgres: restricted }), [])
})

await t.test('behind a pooler in transaction mode', async (t) => {
  const url = await startPgbouncer(t, await testDatabase(t, 'template0'), 'transaction')
  if (url === null) return
  const names = await Promise.all([url, url, url].map((postgres) => migrate({ postgres })))
  t.strictSame(names.flat().sort(), first)
})

await t.test('another process is waited for, until the deadline or the signal', async (t) => {
  const pool = await emptyPool(t)
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-migrations-'))
  t.teardown(() => rm(directory, { recursive: true }))
  await mkdir(join(directory, 'locks'))
  await writeFile(join(directory, 'locks', '0001_slow.sql'), 'SELECT pg_advisory_xact_lock(1, 1)')
  const barrier = await pool.connect()
  await barrier.query('SELECT pg_advisory_lock(1, 1)')
  const slow = migratePluginTables({ postgres: pool, directory, plugins: ['locks'], deadline: 1, log })
  await until('it is in the middle', async () => (await pool.query('SELECT FROM pg_locks WHERE NOT granted')).rowCount === 1)
  await t.rejects(migrate({ postgres: pool, deadline: 200 }), { code: 'FST_MIGRATIONS_FAILED', message: /another process has been making them for 200 ms/ })
  const [abort, reason] = [new AbortController(), new Error('no more')]
  const waiting = t.rejects(migrate({ postgres: pool, signal: abort.signal }), reason)
  abort.abort(reason)
  await waiting
  await barrier.query('SELECT pg_advisory_unlock(1, 1)')
  barrier.release()
  t.strictSame(await slow, ['locks/0001_slow'])
  t.strictSame(await migrate({ postgres: pool }), first)
})

await t.test('Prisma is told that they are not its own, here and in README.md', async (t) => {
  for (const file of ['prisma.config.ts', 'migrations/README.md']) {
    const text = await readFile(join(packageRoot(), file), 'utf8')
    const [, list = ''] = /external: \[(.*)\]/.exec(text) ?? []
    t.strictSame(list.split(', '), pluginTables.map((table) => `'public.${table}'`), file)
  }
})

await t.test('the bookkeeping is found in whatever schema of the path it is, and nothing is begun anew', async (t) => {
  const pool = await emptyPool(t)
  await migrate({ postgres: pool, plugins: ['idempotency'] })
  await pool.query('CREATE SCHEMA app')
  const later = openPool(t, Object.assign(new URL(urlOf(pool)), { search: 'options=-c search_path=app,public' }).href, 1)
  t.strictSame(await migrate({ postgres: later }), ['locks/0001_locks', 'scheduler/0001_scheduler'])
  t.strictSame(await migrate({ postgres: later }), [])
  t.strictSame((await later.query("SELECT to_regclass('app.holdfast_migrations') AS own, to_regclass('app.idempotency_records') AS records")).rows, [{ own: null, records: null }])
})

await t.test('options are validated', async (t) => {
  const wrong: Array<[object, RegExp]> = [
    [{}, /^option `postgres` must be a pg.Pool or a URL of Postgres, postgres:\/\/…, got `null` \(object\)$/],
    [{ postgres: 'mysql://me:secret@host' }, /^option `postgres` must be .*, got 'mysql:\/\/\*\*\*@host' \(string\)$/],
    [{ postgres: {} }, /^option `postgres` must be .*, got an object$/],
    [{ postgres: 'postgres://host', plugins: ['events'] }, /^option `plugins` must be an array, each item 'idempotency' or 'locks' or 'scheduler', got \["events"\] \(array\)$/],
    [{ postgres: 'postgres://host', deadline: 0 }, /^option `deadline` must be /],
    [{ postgres: 'postgres://host', signal: true }, /^option `signal` must be /],
    [{ postgres: 'postgres://host', log: console.log }, /^option `log` must be /],
    [{ postgres: 'postgres://host', table: 'x' }, /^option `table` is not known, expected one of postgres, plugins, deadline, signal, log$/]
  ]
  for (const [options, message] of wrong) await t.rejects(migrate(options as Parameters<typeof migrate>[0]), { code: 'FST_MIGRATIONS_OPTION_INVALID', message })
})
