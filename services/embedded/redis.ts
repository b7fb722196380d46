import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Redis } from 'ioredis'
import type { RedisBinary } from './redis-binary.js'
import { startServer, stopServer } from './server.js'
import type { RunningServer } from './server.js'

export { findRedis } from './redis-binary.js'
export type { FindRedisOptions, RedisBinary } from './redis-binary.js'

const REDIS_STOP = ['SIGTERM', 'SIGKILL'] as const

export interface StartRedisOptions {
  binary: RedisBinary
  /** Made when it is missing. Holds the data, the configuration, the log and the record of the running server. */
  directory: string
  /** Default: the one of the last run if it is free, else any free one. */
  port?: number
  /** Keeps an append-only file. Default: true. */
  persistent?: boolean
  /** Letters, digits, `-` and `_`. Default: none. */
  password?: string
  log?: (message: string) => void
}

export interface RedisServer extends RunningServer {
  url: string
}

/**
 * Starts Redis on 127.0.0.1 as a process that outlives this one, or joins the one that serves this folder already.
 * `maxmemory-policy` is `noeviction`, as BullMQ demands; there are no snapshots.
 * @throws Error when it cannot be started.
 */
export async function startRedis ({ binary, directory, port, persistent = true, password, log = () => {} }: StartRedisOptions): Promise<RedisServer> {
  await mkdir(directory, { recursive: true })
  await chmod(directory, 0o700)
  const urlOf = (port: number): string => `redis://${password === undefined ? '' : `:${password}@`}127.0.0.1:${port}`
  const config = join(resolve(directory), 'redis.conf')
  await writeFile(config, configuration(persistent, password), { mode: 0o600 })
  const server = await startServer({
    name: 'Redis',
    directory,
    port,
    command: (port) => ({ file: binary.path, args: [config, '--port', String(port)], cwd: resolve(directory), env: binary.env }),
    probe: (port) => ping(urlOf(port)),
    stopSignals: REDIS_STOP,
    log
  })
  return { ...server, url: urlOf(server.port) }
}

function configuration (persistent: boolean, password?: string): string {
  return [
    'bind 127.0.0.1',
    `appendonly ${persistent ? 'yes' : 'no'}`,
    "save ''",
    'maxmemory-policy noeviction',
    ...(password === undefined ? [] : [`requirepass ${password}`]),
    ''
  ].join('\n')
}

/** @throws Error when it does not answer. */
export async function ping (url: string): Promise<void> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: null, connectTimeout: 2_000, commandTimeout: 2_000, maxRetriesPerRequest: 0 })
  redis.on('error', () => {}) // the pending call rejects too
  try {
    await redis.connect()
    await redis.ping()
  } finally {
    redis.disconnect()
  }
}

/** Stops the Redis that serves this folder, whoever started it. */
export const stopRedis = (directory: string): Promise<void> => stopServer(directory, REDIS_STOP)
