import { once } from 'node:events'
import type { Test } from 'tap'
import t from 'tap'
import type { Pool } from 'pg'
import { openPool, until } from '../helper.js'
import { spawnServer, testEnvironment } from './helper.js'

const job = 'idempotency.cleanup'

/** An environment whose servers begin a clean-up at once, and a database with so many expired records and one that is none. */
async function expired (t: Test, count: number): Promise<{ env: Record<string, string>, pool: Pool, left: () => Promise<number> }> {
  const env: Record<string, string> = { ...await testEnvironment(t), LOG_LEVEL: 'info', IDEMPOTENCY_CLEANUP_DELAY_MS: '0' }
  const pool = openPool(t, env.DATABASE_URL ?? '', 2)
  await pool.query(`INSERT INTO idempotency_records (id, fingerprint, token, state, lease_until, expires_at)
    SELECT decode(md5(i::text), 'hex'), '', 't', 'completed', now(), now() + CASE WHEN i = 0 THEN interval '1 hour' ELSE interval '-1 hour' END FROM generate_series(0, $1::int) AS i`, [count])
  return { env, pool, left: async () => (await pool.query<{ count: number }>('SELECT count(*)::int AS count FROM idempotency_records')).rows[0]?.count ?? 0 }
}

const runsOf = async (pool: Pool): Promise<Array<{ state: string, starts: number, failures: number }>> =>
  (await pool.query('SELECT state, starts, failures FROM scheduler_runs WHERE name = $1 ORDER BY id', [job])).rows

await t.test('of three processes one cleans up', async (t) => {
  const { env, pool, left } = await expired(t, 3_000)
  const servers = await Promise.all([1, 2, 3].map(() => spawnServer(t, env)))
  await until('only the live record is left', async () => await left() === 1, 30_000)
  await until('the run is done', async () => (await runsOf(pool)).every(({ state }) => state === 'done'))
  t.strictSame(await runsOf(pool), [{ state: 'done', starts: 1, failures: 0 }])
  t.equal(servers.filter(({ output }) => output().includes('expired idempotency records were deleted')).length, 1)
})

await t.test('SIGTERM during a clean-up ends it after its batch, with exit code 0, and the next process goes on', async (t) => {
  const { env, pool, left } = await expired(t, 60_000)
  const { child } = await spawnServer(t, env)
  await until('it has begun', async () => await left() < 60_000, 30_000)
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  t.equal(code, 0)
  const rest = await left()
  t.ok(rest > 1 && rest % 1_000 === 1, `${rest} left: whole batches are gone`)
  t.match(await runsOf(pool), [{ state: /^(pending|enqueued)$/, starts: 0, failures: 0 }], 'it counts neither as a start nor as a failure')
  await spawnServer(t, env)
  await until('only the live record is left', async () => await left() === 1, 30_000)
})

await t.test('SIGKILL during a clean-up leaves no lock, and another process finishes it', async (t) => {
  const { env, pool, left } = await expired(t, 60_000)
  const { child } = await spawnServer(t, env)
  await until('it has begun', async () => await left() < 60_000, 30_000)
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.ok(await left() > 1)
  const foreign = 'SELECT FROM pg_locks WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()'
  const { rows } = await pool.query(`${foreign} AND locktype = 'advisory'`)
  t.equal(rows.length, 0)
  await until('nobody has any lock', async () => (await pool.query(foreign)).rows.length === 0) // not at once: Postgres ends the batch in progress before it sees that the client is gone
  await pool.query("UPDATE scheduler_runs SET lease_until = now() WHERE state = 'running'") // 30 s later
  await spawnServer(t, env)
  await until('only the live record is left', async () => await left() === 1, 60_000)
  await until('the run is done', async () => (await runsOf(pool)).every(({ state }) => state === 'done'))
  t.strictSame(await runsOf(pool), [{ state: 'done', starts: 2, failures: 0 }])
})
