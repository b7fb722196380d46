import { chmod, mkdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { withLock } from './lock.js'
import { passwordIn } from './password.js'
import { removePostgres, startPostgres, stopPostgres } from './postgres.js'
import { findRedis, startRedis, stopRedis } from './redis.js'
import type { RedisServer } from './redis.js'
import type { RunningServer } from './server.js'
import { liveUsers, register } from './users.js'

export interface EmbeddedOptions {
  /** The `.holdfast` folder: data, logs, and who uses them. */
  directory: string
  need: { postgres: boolean, redis: boolean }
  log: (message: string) => void
  /** Ends waiting for another process that starts or stops the services, and the fetch of Redis. */
  signal?: AbortSignal
}

export interface EmbeddedServices {
  /** Of a database named `holdfast`; null when it was not needed. */
  databaseUrl: string | null
  redisUrl: string | null
  /** Everything that was needed ran already. */
  joined: boolean
  /** Leaves. The last one to leave stops the services. Later calls return the promise of the first. */
  release: () => Promise<void>
}

/**
 * Real Postgres and Redis for development and tests, shared by all processes that use the same folder and kept until the last of
 * them has left. Left running by a killed process, they are joined, or replaced when they do not answer; `log` is told.
 * @throws Error when one cannot be had; `AbortError` after `signal`.
 */
export async function acquireServices ({ directory, need, log, signal }: EmbeddedOptions): Promise<EmbeddedServices> {
  const folders = await prepare(directory)
  return withLock(folders.lock, async () => {
    const others = await liveUsers(folders.users)
    const unregister = await register(folders.users)
    try {
      const postgres = need.postgres ? await startPostgres({ dataDirectory: folders.postgres, log }) : null
      signal?.throwIfAborted()
      const redis = need.redis ? await startSharedRedis(folders, log, signal) : null
      signal?.throwIfAborted()
      const servers = [postgres, redis].filter((server) => server !== null)
      if (others.length === 0) reportAdopted({ Postgres: postgres, Redis: redis }, log)
      let left: Promise<void> | undefined
      return {
        databaseUrl: postgres?.url ?? null,
        redisUrl: redis?.url ?? null,
        joined: servers.every(({ joined }) => joined),
        release: () => (left ??= withLock(folders.lock, () => leave(folders, unregister)))
      }
    } catch (error) {
      await leave(folders, unregister)
      throw error
    }
  }, signal)
}

/**
 * Stops services that nobody uses and removes their data, and the fetched Redis. Other files in the folder stay.
 * @throws Error when a live process uses them.
 */
export async function resetServices (directory: string): Promise<void> {
  const folders = await prepare(directory)
  await withLock(folders.lock, async () => {
    const pids = await liveUsers(folders.users)
    if (pids.length > 0) throw new Error(`${folders.root} is in use by ${pids.map((pid) => `process ${pid}`).join(', ')}; end it first`)
    await stopAll(folders)
    await removePostgres(folders.postgres)
    for (const folder of [folders.postgres, folders.redis, folders.redisData, folders.users]) await rm(folder, { recursive: true, force: true })
  })
}

type Folders = Awaited<ReturnType<typeof prepare>>

async function prepare (directory: string) {
  const root = resolve(directory)
  await mkdir(root, { recursive: true })
  if (process.getuid?.() === 0) await chmod(root, 0o755) // whatever the umask: the user of Postgres has to pass
  const [lock, users, postgres, redis, redisData] = ['lock', 'users', 'postgres', 'redis', 'redis-data'].map((name) => join(root, name)) as [string, string, string, string, string]
  return { root, lock, users, postgres, redis, redisData }
}

async function startSharedRedis ({ redis, redisData }: Folders, log: (message: string) => void, signal?: AbortSignal): Promise<RedisServer> {
  const binary = await findRedis({ cacheDirectory: redis, log, signal })
  await mkdir(redisData, { recursive: true })
  return startRedis({ binary, directory: redisData, password: await passwordIn(redisData), log })
}

function reportAdopted (servers: Record<string, RunningServer | null>, log: (message: string) => void): void {
  for (const [name, server] of Object.entries(servers)) {
    if (server?.joined) log(`${name} (pid ${server.pid}) was left running by a process that ended without stopping it; it is used again`)
  }
}

async function leave (folders: Folders, unregister: () => Promise<void>): Promise<void> {
  await unregister()
  if ((await liveUsers(folders.users)).length === 0) await stopAll(folders)
}

async function stopAll ({ postgres, redisData }: Folders): Promise<void> {
  await Promise.all([stopPostgres(postgres), stopRedis(redisData)])
}
