import pg from 'pg'
import type { Test } from 'tap'
import t from 'tap'
import { testRedis, until } from '../helper.js'
import { logInAt, postShare, spawnServer, testEnvironment } from './helper.js'

/** Two processes of the server, and a transaction of ours in which its user is locked: no share can be written until `unlock`. */
async function twoServers (t: Test) {
  const env = await testEnvironment(t)
  const [one, other] = [await spawnServer(t, env), await spawnServer(t, env)]
  const redis = testRedis(t)
  const pool = new pg.Pool({ connectionString: env.DATABASE_URL })
  pool.on('error', () => {})
  t.teardown(() => pool.end())
  const count = async (sql: string): Promise<number> => (await pool.query(sql)).rowCount ?? 0
  return {
    one,
    other,
    authorization: await logInAt(one.base),
    shares: () => count('SELECT FROM shares'),
    records: () => count('SELECT FROM idempotency_records'),
    waiting: async () => await count("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") === 1,
    idle: async () => await count("SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'") === 0,
    flush: async () => { await redis.del(await redis.keys(`${env.HOLDFAST_PREFIX}*`)) },
    async lockUser () {
      const client = await pool.connect()
      await client.query('BEGIN; SELECT FROM users FOR UPDATE')
      return async () => { await client.query('COMMIT'); client.release() }
    }
  }
}

await t.test('a process that is killed before its commit leaves neither share nor record, and the retry stores one', async (t) => {
  const { one, other, authorization, lockUser, waiting, idle, shares, records, flush } = await twoServers(t)
  const unlock = await lockUser()
  const lost = postShare(one.base, authorization, 'k').then(() => 'answered', () => 'lost')
  await until('the share waits', waiting)
  one.child.kill('SIGKILL')
  t.equal(await lost, 'lost')
  await unlock()
  await until('the backend of the dead process has ended', idle)
  t.same([await shares(), await records()], [0, 0])
  t.equal((await postShare(other.base, authorization, 'k')).status, 409, 'its claim lives on')
  await flush() // as if its lease had ended
  t.equal((await postShare(other.base, authorization, 'k')).status, 201)
  t.same([await shares(), await records()], [1, 1])
})

await t.test('a process that is killed after its commit has left an answer, which the other one replays, with Redis and without what Redis knew', async (t) => {
  const { one, other, authorization, shares, flush } = await twoServers(t)
  const first = await postShare(one.base, authorization, 'k')
  const body = await first.text()
  one.child.kill('SIGKILL')
  for (const flushed of [false, true]) {
    if (flushed) await flush()
    const replay = await postShare(other.base, authorization, 'k')
    t.same([replay.status, replay.headers.get('idempotent-replayed'), replay.headers.get('location'), await replay.text()], [201, 'true', first.headers.get('location'), body])
  }
  t.equal(await shares(), 1)
})

await t.test('a process that was paused in its transaction while another one committed rolls back, and answers what that one stored', async (t) => {
  const { one, other, authorization, lockUser, waiting, shares, flush } = await twoServers(t)
  const unlock = await lockUser()
  const late = postShare(one.base, authorization, 'k')
  await until('the share waits', waiting)
  one.child.kill('SIGSTOP')
  await unlock()
  await flush() // as if its lease had ended
  const winner = await postShare(other.base, authorization, 'k')
  t.same([winner.status, winner.headers.get('idempotency-status')], [201, 'created'])
  one.child.kill('SIGCONT')
  const answer = await late
  t.same([answer.status, answer.headers.get('idempotent-replayed'), await answer.text()], [201, 'true', await winner.text()])
  t.equal(await shares(), 1)
})
