import { join } from 'node:path'
import t from 'tap'
import { exists } from '../../../services/embedded/files.js'
import { acquireServices, resetServices } from '../../../services/embedded/index.js'
import { isAlive } from '../../../services/embedded/processes.js'
import { command, holdfastFolder, identities, query, spawnUser } from './helper.js'

const silent = () => {}
const both = { postgres: true, redis: true }

await t.test('two processes share the services, and the last one out stops them', async (t) => {
  const directory = await holdfastFolder(t)
  const first = await spawnUser(t, directory)
  const second = await spawnUser(t, directory)
  const servers = identities(directory)
  t.equal(first.services.joined, false)
  t.equal(second.services.joined, true)
  t.equal(first.services.databaseUrl, second.services.databaseUrl)
  t.equal(first.services.redisUrl, second.services.redisUrl)

  await first.leave()
  t.same(await query(second.services.databaseUrl, 'SELECT current_database()'), [['holdfast']])
  t.equal(await command(second.services.redisUrl, 'PING'), 'PONG')

  await second.leave()
  t.equal(isAlive(servers.postgres), false)
  t.equal(isAlive(servers.redis), false)
})

await t.test('ten processes at once start exactly one pair', async (t) => {
  const directory = await holdfastFolder(t)
  const users = await Promise.all(Array.from({ length: 10 }, () => spawnUser(t, directory)))
  const servers = identities(directory)
  t.equal(users.filter(({ services }) => !services.joined).length, 1)
  t.equal(new Set(users.map(({ services }) => `${services.databaseUrl} ${services.redisUrl}`)).size, 1)

  await Promise.all(users.map(({ leave }) => leave()))
  t.equal(isAlive(servers.postgres), false)
  t.equal(isAlive(servers.redis), false)
})

await t.test('data and ports are kept from one run to the next', async (t) => {
  const directory = await holdfastFolder(t)
  const first = await acquireServices({ directory, need: both, log: silent })
  await query(first.databaseUrl, 'CREATE TABLE kept AS SELECT 1 AS n')
  await command(first.redisUrl, 'SET', 'kept', '1')
  await first.release()

  const second = await acquireServices({ directory, need: both, log: silent })
  t.same(await query(second.databaseUrl, 'SELECT n FROM kept'), [[1]])
  t.equal(await command(second.redisUrl, 'GET', 'kept'), '1')
  t.equal(second.databaseUrl, first.databaseUrl)
  t.equal(second.redisUrl, first.redisUrl)
  await second.release()
})

await t.test('the servers are set up as the application needs them', async (t) => {
  const { databaseUrl, redisUrl, release } = await acquireServices({ directory: await holdfastFolder(t), need: both, log: silent })
  t.same(await query(databaseUrl, `SELECT current_setting('TimeZone'), current_setting('server_encoding'), current_setting('listen_addresses'),
    current_setting('unix_socket_directories'), datcollate FROM pg_database WHERE datname = 'holdfast'`), [['UTC', 'UTF8', '127.0.0.1', '', 'C']])
  for (const [name, value] of [['maxmemory-policy', 'noeviction'], ['appendonly', 'yes'], ['save', ''], ['bind', '127.0.0.1']] as const) {
    t.same(await command(redisUrl, 'CONFIG', 'GET', name), [name, value])
  }
  await t.rejects(query(databaseUrl?.replace(/:[^:@/]+@/, ':wrong@') ?? '', 'SELECT 1'), { code: '28P01' })
  await t.rejects(command(redisUrl?.replace(/:[^:@/]+@/, '') ?? '', 'PING'), /NOAUTH/)
  await release()
})

await t.test('only what is needed is started', async (t) => {
  const directory = await holdfastFolder(t)
  const { databaseUrl, redisUrl, release } = await acquireServices({ directory, need: { postgres: false, redis: true }, log: silent })
  t.equal(databaseUrl, null)
  t.equal(await command(redisUrl, 'PING'), 'PONG')
  await Promise.all([release(), release()])
  t.equal(await exists(join(directory, 'postgres')), false)
})

await t.test('reset refuses while a process uses the services, and wipes the data afterwards', async (t) => {
  const directory = await holdfastFolder(t)
  const user = await spawnUser(t, directory)
  await query(user.services.databaseUrl, 'CREATE TABLE wiped AS SELECT 1 AS n')
  await t.rejects(resetServices(directory), /is in use by process \d+/)
  t.same(await query(user.services.databaseUrl, 'SELECT n FROM wiped'), [[1]])
  const servers = identities(directory)
  await user.kill()

  await resetServices(directory)
  t.equal(isAlive(servers.postgres), false, 'orphaned servers are stopped first')
  t.equal(isAlive(servers.redis), false)
  const { databaseUrl, release } = await acquireServices({ directory, need: { postgres: true, redis: false }, log: silent })
  t.same(await query(databaseUrl, "SELECT to_regclass('wiped')"), [[null]])
  await release()
})
