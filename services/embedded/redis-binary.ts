import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { fetchRedis } from './redis-fetch.js'
import { exists } from './files.js'

const run = promisify(execFile)
const OLDEST_MAJOR = 7

/** A program that speaks Redis 7 or later. */
export interface RedisBinary {
  path: string
  /** What it needs in its environment to find its libraries. */
  env: Record<string, string>
  /** For example 7.0.15. */
  version: string
}

export interface FindRedisOptions {
  /** Keeps the program when it had to be fetched. */
  cacheDirectory: string
  log: (message: string) => void
  signal?: AbortSignal | undefined
}

/**
 * Finds `redis-server` or `valkey-server` on the PATH, else in the cache, else fetches it into the cache from the packages of
 * Debian or Ubuntu; that takes some seconds, needs no root and installs nothing.
 * @throws Error that says the ways to get one.
 */
export async function findRedis ({ cacheDirectory, log, signal }: FindRedisOptions): Promise<RedisBinary> {
  const rejected: string[] = []
  for (const path of candidatesOnPath()) {
    const binary = await inspect(path, {})
    if (binary !== null && isRecent(binary)) return binary
    if (binary !== null) rejected.push(`${path} is ${binary.version}`)
  }
  const root = join(cacheDirectory, 'root')
  const cached = await inspectRoot(root)
  if (cached !== null && isRecent(cached)) return cached
  log('No Redis on the PATH: fetching one from the packages of this system (once, nothing is installed)')
  try {
    await fetchRedis({ cacheDirectory, root, works: async () => await inspectRoot(root) !== null, signal })
    const fetched = await inspectRoot(root)
    if (fetched === null) throw new Error('the fetched program does not run')
    if (isRecent(fetched)) return fetched
    throw new Error(`the packages of this system have ${fetched.version}`)
  } catch (cause) {
    signal?.throwIfAborted()
    throw new Error(unavailable(rejected, cause), { cause })
  }
}

const unavailable = (rejected: string[], cause: unknown): string => `There is no Redis ${OLDEST_MAJOR} or later${rejected.map((reason) => ` (${reason})`).join('')}. Do one of these:
  - install redis-server or valkey-server, version ${OLDEST_MAJOR} or later, so that it is on the PATH
  - set REDIS_URL to a server that runs already
  - on Debian or Ubuntu, have apt-get and the network, so that it can be fetched here without installing
The fetch failed: ${cause instanceof Error ? cause.message : String(cause)}`

function candidatesOnPath (): string[] {
  return (process.env.PATH ?? '').split(delimiter).filter(Boolean).flatMap((folder) => ['redis-server', 'valkey-server'].map((name) => join(folder, name)))
}

const isRecent = ({ version }: RedisBinary): boolean => Number.parseInt(version, 10) >= OLDEST_MAJOR

/** The program in unpacked packages, whose libraries lie beside it, for example in usr/lib/x86_64-linux-gnu. */
async function inspectRoot (root: string): Promise<RedisBinary | null> {
  const libraries: string[] = []
  for (const folder of [join(root, 'usr', 'lib'), join(root, 'lib')]) {
    if (await exists(folder)) libraries.push(...(await readdir(folder)).filter((name) => name.includes('-linux-')).map((name) => join(folder, name)))
  }
  return inspect(join(root, 'usr', 'bin', 'redis-server'), libraries.length === 0 ? {} : { LD_LIBRARY_PATH: libraries.join(delimiter) })
}

async function inspect (path: string, env: Record<string, string>): Promise<RedisBinary | null> {
  try {
    const { stdout } = await run(path, ['--version'], { env: { PATH: process.env.PATH, ...env }, timeout: 10_000 })
    const version = /\bv=(\S+)/.exec(stdout)?.[1]
    return version === undefined ? null : { path, env, version }
  } catch {
    return null // not there, not ours to execute, or a library is missing
  }
}
