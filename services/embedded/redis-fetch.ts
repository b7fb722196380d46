import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { hasCode, identify, isAlive } from './processes.js'

const run = promisify(execFile)
const TIMEOUT_MS = 120_000

interface FetchOptions {
  cacheDirectory: string
  /** Where the unpacked packages go, inside of the cache. */
  root: string
  /** Whether what is in `root` can be used. */
  works: () => Promise<boolean>
  signal?: AbortSignal | undefined
}

/**
 * Downloads the system's package of Redis, with what it depends on that is not installed, and unpacks it.
 * Several processes may do this at once: each works in its own folder, and the first to finish wins.
 * @throws Error when there is no apt-get, no network or no such package.
 */
export async function fetchRedis ({ cacheDirectory, root, works, signal }: FetchOptions): Promise<void> {
  await mkdir(cacheDirectory, { recursive: true })
  await removeAbandoned(cacheDirectory)
  const folder = await mkdtemp(join(cacheDirectory, `fetch-${identify(process.pid)}-`))
  const limit = AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), ...(signal ? [signal] : [])])
  try {
    await download(folder, limit)
    const unpacked = join(folder, 'root')
    for (const file of (await readdir(folder)).filter((name) => name.endsWith('.deb'))) {
      await run('dpkg', ['-x', join(folder, file), unpacked], { signal: limit })
    }
    await publish(unpacked, root, works)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function download (folder: string, signal: AbortSignal): Promise<void> {
  try {
    await downloadWith([], folder, signal)
  } catch (error) {
    if (signal.aborted || hasCode(error, 'ENOENT')) throw error
    await downloadWith(await updatePrivately(folder, signal), folder, signal) // no package lists, or stale ones
  }
}

async function downloadWith (options: string[], folder: string, signal: AbortSignal): Promise<void> {
  // A simulation, because --print-uris leaves out what lies in the system's download cache. Its lines: Inst liblzf1 (3.6-3 …)
  const plan = await apt([...options, 'install', '--simulate', '--no-install-recommends', 'redis-server'], folder, signal)
  const names = Array.from(plan.matchAll(/^Inst (\S+)/gm), ([, name]) => name ?? '')
  if (names.length === 0) throw new Error('the system says that redis-server is installed already, but it is not usable from the PATH')
  await apt([...options, 'download', '-qq', ...names], folder, signal)
}

/** `apt-get update` with folders of our own: the system's lists stay as they are, and no root is needed. */
async function updatePrivately (folder: string, signal: AbortSignal): Promise<string[]> {
  const [state, cache] = [join(folder, 'state'), join(folder, 'cache')]
  await mkdir(join(state, 'lists', 'partial'), { recursive: true })
  await mkdir(join(cache, 'archives', 'partial'), { recursive: true })
  const options = ['-o', `Dir::State=${state}`, '-o', `Dir::State::lists=${join(state, 'lists')}`, '-o', 'Dir::State::status=/var/lib/dpkg/status', '-o', `Dir::Cache=${cache}`, '-o', `Dir::Cache::archives=${join(cache, 'archives')}`]
  await apt([...options, 'update', '-qq'], folder, signal)
  return options
}

async function apt (args: string[], cwd: string, signal: AbortSignal): Promise<string> {
  // As root, apt would hand its downloads to a user `_apt`, who may not be able to enter our folder.
  const ours = ['-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Retries=1', '-o', 'Acquire::http::Timeout=20']
  const { stdout } = await run('apt-get', [...ours, ...args], { cwd, signal, env: { ...process.env, LC_ALL: 'C' } })
  return stdout
}

async function publish (unpacked: string, root: string, works: () => Promise<boolean>): Promise<void> {
  try {
    await rename(unpacked, root)
  } catch (error) {
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error
    if (await works()) return
    await rename(root, `${unpacked}-broken`)
    await rename(unpacked, root)
  }
}

/** Of processes that were killed. */
async function removeAbandoned (cacheDirectory: string): Promise<void> {
  for (const name of await readdir(cacheDirectory)) {
    const [, owner] = /^fetch-(\d+-\w+)-/.exec(name) ?? []
    if (owner !== undefined && !isAlive(owner)) await rm(join(cacheDirectory, name), { recursive: true, force: true })
  }
}
