import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { serverAccount } from '../../../services/embedded/account.js'
import { exists } from '../../../services/embedded/files.js'
import { acquireServices } from '../../../services/embedded/index.js'
import { isAlive } from '../../../services/embedded/processes.js'
import { until } from '../../helper.js'
import { command, holdfastFolder, identities, killHard, query, readText, spawnScript, spawnUser } from './helper.js'

const both = { postgres: true, redis: true }
const onlyPostgres = { postgres: true, redis: false }

await t.test('after kill -9 of the only user the next one adopts the servers and their data, and says so', async (t) => {
  const directory = await holdfastFolder(t)
  const user = await spawnUser(t, directory)
  await query(user.services.databaseUrl, 'CREATE TABLE kept AS SELECT 1 AS n')
  await command(user.services.redisUrl, 'SET', 'kept', '1')
  const servers = identities(directory)
  await user.kill()
  t.equal(isAlive(servers.postgres), true)
  t.equal(isAlive(servers.redis), true)

  const log: string[] = []
  const { databaseUrl, redisUrl, joined, release } = await acquireServices({ directory, need: both, log: (message) => log.push(message) })
  t.equal(joined, true)
  t.same(identities(directory), servers)
  t.same(await query(databaseUrl, 'SELECT n FROM kept'), [[1]])
  t.equal(await command(redisUrl, 'GET', 'kept'), '1')
  t.match(log, [/^Postgres \(pid \d+\) was left running/, /^Redis \(pid \d+\) was left running/])
  await release()
  t.equal(isAlive(servers.postgres), false)
})

await t.test('after kill -9 of both servers the next user starts them again with their data', async (t) => {
  const directory = await holdfastFolder(t)
  const user = await spawnUser(t, directory)
  await query(user.services.databaseUrl, 'CREATE TABLE kept AS SELECT 1 AS n')
  await command(user.services.redisUrl, 'SET', 'kept', '1')
  const servers = identities(directory)
  await until('Redis has synced its log', async () => String(await command(user.services.redisUrl, 'INFO', 'persistence')).includes('aof_pending_bio_fsync:0'))
  await killHard(servers.postgres)
  await killHard(servers.redis)

  const log: string[] = []
  const { databaseUrl, redisUrl, joined, release } = await acquireServices({ directory, need: both, log: (message) => log.push(message) })
  t.equal(joined, false)
  t.notSame(identities(directory), servers)
  t.same(await query(databaseUrl, 'SELECT n FROM kept'), [[1]])
  t.equal(await command(redisUrl, 'GET', 'kept'), '1')
  t.match(log, [/^Postgres \(pid \d+\) ended without being stopped/, /^Redis \(pid \d+\) ended without being stopped/])
  await release()
  await user.kill()
})

await t.test('after kill -9 during initdb the next user initialises anew', async (t) => {
  const directory = await holdfastFolder(t)
  const child = spawnScript('user.js', [directory])
  const exited = once(child, 'exit')
  await until('initdb is under way', async () => await exists(join(directory, 'postgres')) && (await readdir(join(directory, 'postgres'))).some((name) => name.startsWith('initdb-')), 20_000)
  child.kill('SIGKILL')
  await exited
  t.equal(await exists(join(directory, 'postgres', 'cluster')), false)

  const { databaseUrl, release } = await acquireServices({ directory, need: onlyPostgres, log: () => {} })
  t.same(await query(databaseUrl, 'SELECT 1'), [[1]])
  t.notOk((await readdir(join(directory, 'postgres'))).some((name) => name.startsWith('initdb-')), 'nothing is left of the first')
  await release()
})

await t.test('a postmaster.pid whose pid belongs to another program now is no obstacle', async (t) => {
  const directory = await holdfastFolder(t)
  const first = await spawnUser(t, directory)
  const cluster = join(directory, 'postgres', 'cluster')
  const pidFile = await readText(cluster, 'postmaster.pid')
  await first.leave()
  const other = spawn('sleep', ['60'], { ...serverAccount() })
  t.teardown(() => other.kill())
  await once(other, 'spawn')
  await writeFile(join(cluster, 'postmaster.pid'), pidFile.replace(/^\d+/, String(other.pid)))

  const { databaseUrl, release } = await acquireServices({ directory, need: onlyPostgres, log: () => {} })
  t.same(await query(databaseUrl, 'SELECT 1'), [[1]])
  t.equal(other.exitCode, null, 'the other program is left alone')
  await release()
})

await t.test('a Postgres that is on no record does not keep the next one from starting', async (t) => {
  const directory = await holdfastFolder(t)
  const user = await spawnUser(t, directory)
  const { postgres } = identities(directory)
  await user.kill()
  await rm(join(directory, 'postgres', 'server.json'))

  const { databaseUrl, release } = await acquireServices({ directory, need: onlyPostgres, log: () => {} })
  t.same(await query(databaseUrl, 'SELECT 1'), [[1]])
  t.equal(isAlive(postgres), false)
  await release()
})

await t.test('when a stranger has taken the remembered port another one is chosen', async (t) => {
  const directory = await holdfastFolder(t)
  const first = await acquireServices({ directory, need: both, log: () => {} })
  await first.release()
  const port = Number(new URL(first.databaseUrl ?? '').port)
  const stranger = createServer().listen(port, '127.0.0.1')
  t.teardown(() => stranger.close())
  await once(stranger, 'listening')

  const second = await acquireServices({ directory, need: both, log: () => {} })
  t.not(second.databaseUrl, first.databaseUrl)
  t.equal(second.redisUrl, first.redisUrl)
  t.same(await query(second.databaseUrl, 'SELECT 1'), [[1]])
  await second.release()
})

await t.test('acquiring ends when its signal aborts, and leaves nothing running', async (t) => {
  const directory = await holdfastFolder(t)
  const controller = new AbortController()
  const acquired = acquireServices({ directory, need: both, log: () => {}, signal: controller.signal })
  const rejected = t.rejects(acquired, { name: 'AbortError' })
  await until('Postgres starts', () => exists(join(directory, 'postgres', 'server.json')), 20_000)
  controller.abort()
  await rejected
  t.equal(isAlive(JSON.parse(await readText(directory, 'postgres', 'server.json')).process), false)
})
