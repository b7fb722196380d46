import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { removePostgres, startPostgres } from '../services/embedded/postgres.js'
import { findRedis, ping, startRedis } from '../services/embedded/redis.js'
import { startServer } from '../services/embedded/server.js'
import { given, until } from './helper.js'

/** A server that belongs to one test, to be ended and started again on its port. */
export interface OwnServer {
  url: string
  /** Nothing, where it was killed. */
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

/** With all migrations. */
export async function ownPostgres (t: Test): Promise<OwnServer> {
  const dataDirectory = await temporary(t)
  await promisify(execFile)('cp', ['-a', `${given('HOLDFAST_TEST_CLUSTER')}/.`, dataDirectory]) // with the owner of its files
  t.teardown(() => removePostgres(dataDirectory))
  return await own(t, (port) => startPostgres({ dataDirectory, ...(port === undefined ? {} : { port }) }))
}

async function own (t: Test, start: (port?: number) => Promise<Started>): Promise<OwnServer> {
  let running = await start()
  const { url, port } = running
  t.teardown(() => running.stop())
  let isKilled = false
  const signal = (name: NodeJS.Signals): void => { if (!isKilled) process.kill(running.pid, name) }
  return {
    url,
    signal,
    async kill () {
      signal('SIGKILL')
      isKilled = true
      await running.stop() // waits for its end
    },
    async start () {
      running = await start(port)
      isKilled = false
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

/** A redis-server with arguments of its own, without persistence. */
async function ownProcess (t: Test, argsOf: (directory: string, port: number) => string[] | Promise<string[]>): Promise<OwnServer> {
  const directory = await temporary(t)
  const { path, env } = await findRedis({ cacheDirectory: redisBinaries, log: () => {} })
  const urlOf = (port: number): string => `redis://127.0.0.1:${port}`
  return await own(t, async (port) => {
    const server = await startServer({
      name: 'Redis',
      directory,
      port,
      command: async (port) => ({ file: path, args: [...await argsOf(directory, port), '--port', String(port), '--bind', '127.0.0.1', '--dir', directory], cwd: directory, env }),
      probe: (port) => ping(urlOf(port)),
      stopSignals: ['SIGTERM', 'SIGKILL'],
      log: () => {}
    })
    return { ...server, url: urlOf(server.port) }
  })
}

/** With a client for this one call, which waits until the server answers. */
export async function withRedis<T> ({ url }: { url: string }, call: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 20 })
  redis.on('error', () => {}) // until it has started
  try {
    return await call(redis)
  } finally {
    redis.disconnect()
  }
}

export interface OwnCluster {
  /** Of the first master. */
  port: number
  masters: OwnServer[]
}

/** A Cluster of masters, which have an equal part of the slots each. One checks slots as one of many does. */
export async function ownCluster (t: Test, count = 1): Promise<OwnCluster> {
  const masters = await Promise.all(Array.from({ length: count }, () => ownProcess(t, (_directory, port) => ['--cluster-enabled', 'yes', '--cluster-port', String(port + 1),
    '--cluster-announce-ip', '127.0.0.1', '--save', ''])))
  const [first] = masters
  if (first === undefined) throw new TypeError('a Cluster has a master at least')
  const firstSlot = (index: number): number => Math.floor(16_384 * index / count)
  for (const [index, master] of masters.entries()) {
    await withRedis(master, async (node) => {
      await node.cluster('SET-CONFIG-EPOCH', index + 1)
      await node.cluster('ADDSLOTSRANGE', firstSlot(index), firstSlot(index + 1) - 1)
      const [, bus] = await node.config('GET', 'cluster-port') as string[]
      if (master !== first) await withRedis(first, (meeting) => meeting.call('CLUSTER', 'MEET', '127.0.0.1', new URL(master.url).port, String(bus)))
    })
  }
  for (const master of masters) await withRedis(master, (node) => served(node, count))
  return { port: Number(new URL(first.url).port), masters }
}

async function served (node: Redis, count: number): Promise<void> {
  await until('the cluster serves', async () => {
    const info = String(await node.cluster('INFO'))
    return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${count}`)
  })
}

export interface OwnSentinel {
  /** Of the sentinel, which knows the master as `main`. */
  port: number
  master: OwnServer
  replica: OwnServer
}

/** A master, its replica, and one sentinel that takes a master which says nothing for 300 ms for dead. */
export async function ownSentinel (t: Test): Promise<OwnSentinel> {
  const [master, replica] = [await ownRedis(t), await ownRedis(t)]
  const { port } = new URL(master.url)
  await withRedis(replica, async (redis) => {
    await redis.replicaof('127.0.0.1', Number(port))
    await until('the replica follows', async () => (await redis.info('replication')).includes('master_link_status:up'))
  })
  const sentinel = await ownProcess(t, async (directory) => {
    const config = join(directory, 'sentinel.conf')
    await writeFile(config, `sentinel monitor main 127.0.0.1 ${port} 1\nsentinel down-after-milliseconds main 300\nsentinel failover-timeout main 2000\n`)
    return [config, '--sentinel']
  })
  await withRedis(sentinel, (redis) => until('the sentinel knows both', async () => {
    const replicas = await redis.call('SENTINEL', 'REPLICAS', 'main') as unknown[]
    return replicas.length === 1
  }))
  return { port: Number(new URL(sentinel.url).port), master, replica }
}
