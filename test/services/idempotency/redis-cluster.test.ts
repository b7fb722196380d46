import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cluster, Redis } from 'ioredis'
import t from 'tap'
import { findRedis } from '../../../services/embedded/redis.js'
import { openRequestPath } from '../../../services/idempotency/stores/redis-connection.js'
import { createRedisLink } from '../../../services/idempotency/stores/redis-link.js'
import { createRedisStore } from '../../../services/idempotency/stores/redis.js'
import { testPrefix, until } from '../../helper.js'
import { redisBinaries } from '../../own-servers.js'
import { conformance, newClaim, response } from './conformance.js'

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** A Cluster of one node, which checks slots as one of many does. */
async function startCluster (): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-cluster-'))
  const [port, { path, env }] = [await freePort(), await findRedis({ cacheDirectory: redisBinaries, log: () => {} })]
  const args = ['--port', String(port), '--cluster-port', String(await freePort()), '--bind', '127.0.0.1', '--cluster-announce-ip', '127.0.0.1', '--cluster-enabled', 'yes', '--save', '', '--dir', directory]
  const server = spawn(path, args, { env: { ...process.env, ...env }, stdio: 'ignore' })
  t.teardown(async () => {
    server.kill('SIGKILL')
    await once(server, 'exit')
    await rm(directory, { recursive: true, force: true })
  })
  const node = new Redis(port, '127.0.0.1')
  node.on('error', () => {}) // until it has started
  await node.cluster('ADDSLOTSRANGE', 0, 16_383)
  await until('the cluster is there', async () => (await node.cluster('INFO')).includes('cluster_state:ok'))
  node.disconnect()
  return port
}

const port = await startCluster()
const client = new Cluster([{ port, host: '127.0.0.1' }])
const redis = await openRequestPath(client, (error) => { throw error })
t.teardown(() => { redis.disconnect(); client.disconnect() })

await conformance(t, 'redis cluster', createRedisStore({ redis, prefix: testPrefix() }))

await t.test('in Cluster the generation is not compared, and everything else works', async (t) => {
  const link = createRedisLink({ redis, prefix: testPrefix() })
  t.teardown(() => link.close())
  await link.probe()
  t.match(await link.renew(), { changed: false, lost: true, recoveryLeft: 0 })
  await link.announce(60_000)
  t.ok((await link.renew()).recoveryLeft > 50_000)
  const claims = Array.from({ length: 300 }, () => newClaim())
  t.ok((await Promise.all(claims.map((claim) => link.claim(claim)))).every(({ state }) => state === 'claimed'))
  const [claim = newClaim()] = claims
  let woken = false
  await link.subscribe(claim.id, () => { woken = true })
  t.equal(await link.complete(claim, response), 'held')
  await until('the completion wakes', () => woken)
})
