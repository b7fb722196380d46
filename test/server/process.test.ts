import { once } from 'node:events'
import net from 'node:net'
import pg from 'pg'
import t from 'tap'
import type { Test } from 'tap'
import { testDatabase, until } from '../helper.js'
import { logInAt, postShare, runProgram, runServer, spawnServer, startServer, testEnvironment } from './helper.js'

await t.test('in production every missing variable is named in one message and the exit code is 1', async (t) => {
  const { code, output } = await runServer(t, { NODE_ENV: 'production', PORT: 'abc' })
  t.equal(code, 1)
  for (const name of ['DATABASE_URL', 'REDIS_URL', 'JWT_SECRET']) t.match(output, `option \`${name}\` is required when NODE_ENV is \`production\`, got nothing`)
  t.match(output, 'option `PORT` must be an integer from 0 to 65535, got `abc`')
  t.notMatch(output, / {4}at /, 'no stack')
})

await t.test('an unknown database fails the start at once and is named, without the password', async (t) => {
  const env = await testEnvironment(t)
  const url = new URL(env.DATABASE_URL ?? '')
  url.pathname = '/nothing_has_this_name'
  const { code, output } = await runServer(t, { ...env, DATABASE_URL: url.href })
  t.equal(code, 1)
  t.match(output, 'cannot connect to the database: the database does not exist')
  if (url.password !== '') t.notOk(output.includes(url.password))
})

await t.test('a wrong password fails the start at once', async (t) => {
  const env = await testEnvironment(t)
  const url = new URL(env.DATABASE_URL ?? '')
  url.password = 'wrong'
  const { code, output } = await runServer(t, { ...env, DATABASE_URL: url.href })
  t.equal(code, 1)
  t.match(output, 'cannot connect to the database: the password is wrong')
})

await t.test('a port that is taken fails the start with a sentence', async (t) => {
  const holder = net.createServer().listen(0, 'localhost')
  await once(holder, 'listening')
  t.teardown(() => { holder.close() })
  const { code, output } = await runServer(t, { ...await testEnvironment(t), PORT: String((holder.address() as net.AddressInfo).port) })
  t.equal(code, 1)
  t.match(output, /EADDRINUSE/)
})

await t.test('a signal during the start ends it', async (t) => {
  const silent = net.createServer().listen(0, '127.0.0.1') // a Redis that accepts and never answers
  await once(silent, 'listening')
  t.teardown(() => { silent.close() })
  const server = startServer(t, { ...await testEnvironment(t), REDIS_URL: `redis://127.0.0.1:${(silent.address() as net.AddressInfo).port}` })
  const [socket] = await once(silent, 'connection') as [net.Socket]
  t.teardown(() => { socket.destroy() })
  server.child.kill('SIGINT')
  const [code] = await once(server.child, 'close') as [number | null]
  t.equal(code, 1)
  t.match(server.output(), 'cannot start\ninterrupted')
  t.notMatch(server.output(), 'Holdfast is running')
})

await t.test('SIGTERM lets a running request end, answers it, and exits with 0', async (t) => {
  const env = await testEnvironment(t)
  const { base, child } = await spawnServer(t, env)
  const client = await connect(t, env.DATABASE_URL)
  const authorization = await logInAt(base)
  await client.query('BEGIN; LOCK TABLE shares IN EXCLUSIVE MODE')
  const answer = postShare(base, authorization, 'drain')
  await until('the handler waits for the table', async () =>
    (await client.query("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")).rowCount === 1)
  child.kill('SIGTERM')
  await until('the server has begun to close', async () => await fetch(`${base}/health/live`).then(() => false, () => true))
  await client.query('COMMIT')
  t.equal((await answer).status, 201)
  const [code] = await once(child, 'exit') as [number]
  t.equal(code, 0)
  t.equal((await client.query('SELECT FROM shares')).rowCount, 1)
})

await t.test('a request that does not end is cut off when SHUTDOWN_TIMEOUT_MS is over, and the exit code is 1', async (t) => {
  const env = await testEnvironment(t)
  const { base, child } = await spawnServer(t, { ...env, SHUTDOWN_TIMEOUT_MS: '1000' })
  const client = await connect(t, env.DATABASE_URL)
  const authorization = await logInAt(base)
  await client.query('BEGIN; LOCK TABLE shares IN EXCLUSIVE MODE')
  const answer = postShare(base, authorization, 'cut').then(() => 'answered', () => 'cut off')
  await until('the handler waits for the table', async () =>
    (await client.query("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")).rowCount === 1)
  const start = performance.now()
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit') as [number]
  t.equal(code, 1)
  t.ok(performance.now() - start < 10_000, 'far below the default deadline of 25 s')
  t.equal(await answer, 'cut off')
})

await t.test('an idle keep-alive connection does not hold the stop', async (t) => {
  const { base, child } = await spawnServer(t, await testEnvironment(t))
  const socket = net.connect(Number(new URL(base).port), 'localhost')
  t.teardown(() => socket.destroy())
  socket.write('GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(socket, 'data')
  const start = performance.now()
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit') as [number]
  t.equal(code, 0)
  t.ok(performance.now() - start < 10_000, 'far below the keep-alive timeout of 72 s')
})

await t.test('ten processes that migrate an empty database at once apply each migration once', async (t) => {
  const env = { ...await testEnvironment(t), DATABASE_URL: await testDatabase(t, 'template0') }
  const ends = await Promise.all(Array.from({ length: 10 }, () => runProgram(t, 'scripts/migrate.js', env)))
  t.strictSame(ends.map(({ code }) => code), ends.map(() => 0), JSON.stringify(ends))
  const client = await connect(t, env.DATABASE_URL)
  const { rows } = await client.query<{ times: number }>('SELECT migration_name, count(*)::int AS times FROM _prisma_migrations GROUP BY 1')
  t.ok(rows.length >= 1)
  t.ok(rows.every(({ times }) => times === 1), JSON.stringify(rows))
  const { base } = await spawnServer(t, env)
  t.equal((await fetch(`${base}/health/ready`)).status, 200)
})

async function connect (t: Test, url: string | undefined): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  return client
}
