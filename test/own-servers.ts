import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { removePostgres, startPostgres } from '../services/embedded/postgres.js'
import { findRedis, startRedis } from '../services/embedded/redis.js'
import { freePort } from '../services/embedded/server.js'
import { until } from './helper.js'

/** A server that belongs to one test, to be ended and started again on its port. */
export interface OwnServer {
  url: string
  signal: (signal: NodeJS.Signals) => void
  /** Ends it as a crash would, and waits until it is gone. */
  kill: () => Promise<void>
  start: () => Promise<void>
}

interface Started {
  url: string
  port: number
  pid: number
  stop: () => Promise<void>
}

/** The Redis that `npm test` has fetched or found. */
export const redisBinaries = resolve('.holdfast', 'test', 'redis')

export async function ownRedis (t: Test, { persistent = false } = {}): Promise<OwnServer> {
  const directory = await temporary(t)
  const binary = await findRedis({ cacheDirectory: redisBinaries, log: () => {} })
  return await own(t, (port) => startRedis({ binary, directory, persistent, ...(port === undefined ? {} : { port }) }))
}

export async function ownPostgres (t: Test): Promise<OwnServer> {
  const dataDirectory = await temporary(t)
  t.teardown(() => removePostgres(dataDirectory))
  return await own(t, (port) => startPostgres({ dataDirectory, ...(port === undefined ? {} : { port }) }))
}

async function own (t: Test, start: (port?: number) => Promise<Started>): Promise<OwnServer> {
  let running = await start()
  const { url, port } = running
  t.teardown(() => running.stop())
  const signal = (name: NodeJS.Signals): void => { process.kill(running.pid, name) }
  return {
    url,
    signal,
    async kill () {
      signal('SIGKILL')
      await running.stop() // waits for its end
    },
    async start () {
      running = await start(port)
    }
  }
}

async function temporary (t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-own-'))
  await chmod(directory, 0o755) // the user that Postgres runs as has to pass
  t.teardown(async () => {
    if (t.passing()) await rm(directory, { recursive: true, force: true })
    else t.comment(`the data and the log of a server were kept in ${directory}`)
  })
  return directory
}

/** A Cluster of one node, which checks slots as one of many does. Resolves with its port. */
export async function ownCluster (t: Test): Promise<number> {
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
  await until('the cluster serves', async () => String(await node.cluster('INFO')).includes('cluster_state:ok'))
  node.disconnect()
  return port
}
