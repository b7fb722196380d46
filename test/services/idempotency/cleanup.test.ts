import { PrismaPg } from '@prisma/adapter-pg'
import t from 'tap'
import type { Test } from 'tap'
import { PrismaClient } from '../../../prisma/generated/client.js'
import { createPool } from '../../../services/database/pool.js'
import { createCleanup } from '../../../services/idempotency/cleanup.js'
import type { CleanupOptions } from '../../../services/idempotency/cleanup.js'
import { createPostgresStore } from '../../../services/idempotency/stores/postgres.js'
import { deleteExpired } from '../../../services/idempotency/stores/postgres-sql.js'
import { silentLog } from '../../../services/log.js'
import { gate, testPool, until } from '../../helper.js'
import { newClaim, response } from './conformance.js'

const pool = await testPool(t)
const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
const never = new AbortController().signal
const cleanup = (options: Partial<CleanupOptions> = {}) => createCleanup({ postgres: pool, log: silentLog, batchSize: 10, pause: 0, ...options })

// A row whose token is `held` cannot be deleted while somebody has the advisory lock 1, one whose token is `poison` never.
await pool.query(`
  CREATE FUNCTION obstruct () RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF OLD.token = 'held' THEN PERFORM pg_advisory_xact_lock_shared(1); END IF;
    IF OLD.token = 'poison' THEN RAISE 'poison'; END IF;
    RETURN OLD;
  END $$;
  CREATE TRIGGER obstruct BEFORE DELETE ON idempotency_records FOR EACH ROW EXECUTE FUNCTION obstruct()`)
t.beforeEach(async () => { await pool.query('TRUNCATE idempotency_records') })

/** Adds records; the older ones are deleted first. `age` and `lease` are seconds: how long ago they expired, and what is left of their lease. */
async function add (count: number, { state = 'completed', token = 'one', age = 60, lease = -60 }: { state?: string, token?: string, age?: number, lease?: number } = {}): Promise<void> {
  await pool.query(`INSERT INTO idempotency_records (id, token, fingerprint, state, lease_until, expires_at)
    SELECT sha256(gen_random_uuid()::text::bytea), $2, 'f', $3, now() + $5 * interval '1 s', now() - $4 * interval '1 s' FROM generate_series(1, $1)`, [count, token, state, age, lease])
}

async function left (): Promise<Record<string, number>> {
  const { rows } = await pool.query<{ token: string, count: number }>('SELECT token, count(*)::int FROM idempotency_records GROUP BY token ORDER BY token')
  return Object.fromEntries(rows.map(({ token, count }) => [token, count]))
}

/** Until it is called, or the test ends, no row whose token is `held` is deleted. */
async function hold (t: Test): Promise<() => Promise<void>> {
  const client = await pool.connect()
  await client.query('SELECT pg_advisory_lock(1)')
  const release = async (): Promise<void> => { await client.query('SELECT pg_advisory_unlock_all()') }
  t.teardown(() => release().finally(() => { client.release() }))
  return release
}

const isHeld = (): Promise<boolean> => pool.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'").then(({ rows }) => rows.length === 1)

for (const [name, postgres] of [['pg', pool], ['Prisma', prisma]] as const) {
  await t.test(`${name}: what has expired is deleted in batches, and nothing else`, async (t) => {
    await add(15)
    await add(5, { state: 'tombstone' })
    await add(5, { state: 'running' })
    await add(3, { token: 'fresh', age: -60 })
    await add(3, { token: 'left behind', state: 'running', age: -60, lease: -60 })
    await add(3, { token: 'in progress', state: 'running', age: 1, lease: 60 })
    const seen: number[] = []
    t.equal(await cleanup({ postgres }).run(never, (deleted) => { seen.push(deleted) }), 25)
    t.strictSame(seen, [10, 20, 25])
    t.strictSame(await left(), { fresh: 3, 'in progress': 3, 'left behind': 3 })
    t.equal(await cleanup({ postgres }).run(never), 0)
  })
}

await t.test('a wrong option is refused when it is made, not when it first runs', (t) => {
  const cases: Array<[options: object, message: string]> = [
    [{ batchSize: 0 }, 'option `batchSize` must be an integer from 1 to 100000 (records), got `0` (number)'],
    [{ batchSize: '10' }, "option `batchSize` must be an integer from 1 to 100000 (records), got '10' (string)"],
    [{ pause: -1 }, 'option `pause` must be an integer from 0 to 2147483647 (ms), got `-1` (number)'],
    [{ pause: NaN }, 'option `pause` must be an integer from 0 to 2147483647 (ms), got `NaN` (number)'],
    [{ postgres: null }, 'option `postgres` must be a pg.Pool or a Prisma client, got `null` (object)'],
    [{ interval: 1 }, 'option `interval` is not known, expected one of postgres, log, batchSize, pause']
  ]
  for (const [options, message] of cases) t.throws(() => cleanup(options), new TypeError(message))
  t.doesNotThrow(() => createCleanup({ postgres: pool, log: silentLog }))
  t.end()
})

await t.test('claims and finished records of the store outlive it until they expire', async (t) => {
  const store = createPostgresStore({ postgres: pool })
  const [running, finished, expired] = [newClaim(), newClaim(), newClaim({ lease: 1, retention: 1 })]
  for (const claim of [running, finished, expired]) await store.claim(claim)
  await store.finish([{ claim: finished, response, age: 0 }], 'redis')
  await until('it has expired', async () => await store.get(expired.id) === null)
  t.equal(await cleanup().run(never), 1)
  t.match(await store.get(running.id), { state: 'running', token: running.token })
  t.match(await store.get(finished.id), { state: 'completed', token: finished.token })
})

await t.test('two at once share the work: none waits for the other, and each record is deleted once', async (t) => {
  await add(10, { token: 'held', age: 90 })
  await add(90)
  const release = await hold(t)
  const first = cleanup().run(never)
  await until('a batch is in progress', isHeld)
  t.equal(await cleanup().run(never), 90)
  t.strictSame(await left(), { held: 10 })
  await release()
  t.equal(await first, 10)
  await add(2_000)
  const shares = await Promise.all(Array.from({ length: 4 }, () => cleanup().run(never)))
  t.equal(shares.reduce((sum, share) => sum + share), 2_000)
  t.strictSame(await left(), {})
})

await t.test('a record that another transaction is writing is passed over', { timeout: 10_000 }, async (t) => {
  const client = await pool.connect()
  t.teardown(() => client.query('ROLLBACK').finally(() => { client.release() }))
  await add(3, { token: 'written', age: 90 })
  await add(20)
  await client.query("BEGIN; UPDATE idempotency_records SET expires_at = now() + interval '1 day' WHERE token = 'written'")
  t.equal(await cleanup().run(never), 20)
  await client.query('COMMIT')
  t.equal(await cleanup().run(never), 0)
  t.strictSame(await left(), { written: 3 })
})

await t.test('an abort ends the pause between two batches', { timeout: 10_000 }, async (t) => {
  await add(30)
  const [aborting, paused] = [new AbortController(), gate()]
  const running = cleanup({ pause: 60_000 }).run(aborting.signal, () => { setImmediate(paused.open) })
  await paused.opened
  aborting.abort()
  t.equal(await running, 10)
  t.strictSame(await left(), { one: 20 })
  t.equal(await cleanup().run(aborting.signal), 0)
  t.strictSame(await left(), { one: 20 })
})

await t.test('an abort lets the batch in progress commit', { timeout: 10_000 }, async (t) => {
  await add(10, { token: 'held', age: 90 })
  await add(20)
  const [aborting, release] = [new AbortController(), await hold(t)]
  const running = cleanup().run(aborting.signal)
  await until('a batch is in progress', isHeld)
  aborting.abort()
  await release()
  t.equal(await running, 10)
  t.strictSame(await left(), { one: 20 })
})

await t.test('a batch whose connection is cut leaves no lock behind: another one deletes all of it', { timeout: 10_000 }, async (t) => {
  await add(10, { token: 'held', age: 90 })
  const [cut, release] = [createPool({ url: pool.options.connectionString ?? '', size: 1, log: silentLog }), await hold(t)]
  t.teardown(() => cut.end())
  const running = t.rejects(cleanup({ postgres: cut }).run(never), { code: '57P01' })
  await until('a batch is in progress', isHeld)
  await pool.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'")
  await running
  await until('its session is gone', async () => (await pool.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'holdfast'")).rows.length === 0)
  await release()
  t.equal(await cleanup().run(never), 10)
})

await t.test('an error of the database is thrown, and the batches before it stay', async (t) => {
  await add(10, { age: 90 })
  await add(10, { token: 'poison' })
  await t.rejects(cleanup().run(never), { message: 'poison' })
  t.strictSame(await left(), { poison: 10 })
})

await t.test('expired records are found by the index, whatever else there is', async (t) => {
  await add(20_000, { age: -60 })
  await add(2_000)
  await pool.query('VACUUM ANALYZE idempotency_records')
  const { rows } = await pool.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${deleteExpired}`, [1_000])
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
  t.match(plan, /idempotency_records_expires_at_idx[^]*Index Cond: \(expires_at <= now\(\)\)/)
  t.notMatch(plan, /Seq Scan/)
})
