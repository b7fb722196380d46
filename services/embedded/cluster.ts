import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, chown, lstat, mkdir, mkdtemp, readFile, readdir, readlink, realpath, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { canEnter } from './account.js'
import type { Account } from './account.js'
import { exists } from './files.js'
import { passwordIn } from './password.js'
import { commandLine, hasCode, identify, stopProcess } from './processes.js'

const run = promisify(execFile)

/** Signals of a fast and of an immediate shutdown (postgres(1)). */
export const POSTGRES_STOP = ['SIGINT', 'SIGQUIT'] as const

/**
 * The folder that holds the cluster: `dataDirectory` itself, or, where the account may not enter it (a clone with mode 0700 and
 * root at work), a folder of root's in /var/tmp, which a symbolic link `cluster` in `dataDirectory` then remembers.
 * @throws Error when the place in /var/tmp is not root's own.
 */
export async function placeCluster (dataDirectory: string, account: Account | undefined): Promise<string> {
  const remembered = await linkTarget(join(dataDirectory, 'cluster'))
  if (remembered !== null) return makeOwnFolder(dirname(remembered))
  if (canEnter(dataDirectory, account)) return dataDirectory
  if (await exists(join(dataDirectory, 'cluster'))) {
    throw new Error(`The data in ${dataDirectory} cannot be entered by the user Postgres runs as (uid ${account?.uid ?? 'own'}). Give the folders above it mode 0755, or wipe it with: npm run reset`)
  }
  const place = await makeOwnFolder(`/var/tmp/holdfast-${createHash('sha256').update(dataDirectory).digest('hex').slice(0, 12)}`)
  await removeCluster(place) // of a project folder that was deleted
  await symlink(join(place, 'cluster'), join(dataDirectory, 'cluster'))
  return place
}

async function makeOwnFolder (path: string): Promise<string> {
  await mkdir(path, { recursive: true })
  const { uid, mode } = await lstat(path)
  if (uid !== process.getuid?.() || (mode & 0o170022) !== 0o040000) throw new Error(`${path} is not a folder which only this user can write to; remove it`)
  await chmod(path, 0o755)
  return realpath(path)
}

/** Removes what {@link placeCluster} made outside of the project folder, and the cluster. Postgres must be stopped. */
export async function removePlaced (dataDirectory: string): Promise<void> {
  const remembered = await linkTarget(join(dataDirectory, 'cluster'))
  if (remembered !== null) await rm(dirname(remembered), { recursive: true, force: true })
}

async function removeCluster (place: string): Promise<void> {
  await clearPidFile(join(place, 'cluster'))
  await rm(join(place, 'cluster'), { recursive: true, force: true })
}

/**
 * Initialises the cluster if there is none. It is made in a folder of its own and renamed, so that a half-made one never counts.
 * @returns the path of the cluster and the password of the user `postgres`.
 */
export async function initialise (initdb: string, dataDirectory: string, place: string, account: Account | undefined): Promise<{ cluster: string, password: string }> {
  const cluster = join(place, 'cluster')
  const password = await passwordIn(dataDirectory)
  if (await exists(join(cluster, 'PG_VERSION'))) return { cluster, password }
  for (const leftover of (await readdir(place)).filter((name) => name.startsWith('initdb-'))) await rm(join(place, leftover), { recursive: true, force: true, maxRetries: 10 })
  const folder = await mkdtemp(join(place, 'initdb-'))
  await chmod(folder, 0o755)
  await mkdir(join(folder, 'cluster'))
  await writeFile(join(folder, 'password'), password, { mode: 0o600 })
  if (account !== undefined) await Promise.all(['cluster', 'password'].map((name) => chown(join(folder, name), account.uid, account.gid)))
  await run(initdb, [
    '--pgdata', join(folder, 'cluster'), '--username', 'postgres', '--pwfile', join(folder, 'password'), '--auth', 'scram-sha-256',
    '--encoding', 'UTF8', '--locale', 'C', '--no-instructions'
  ], { ...account, cwd: '/', env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' } })
  await rename(join(folder, 'cluster'), cluster)
  await rm(folder, { recursive: true })
  return { cluster, password }
}

/**
 * Removes a `postmaster.pid` whose pid now belongs to another program: Postgres would refuse to start, as after a reboot or in a new
 * container. A postmaster of this very cluster that is on no record is stopped. A dead one's file Postgres removes itself.
 */
export async function clearPidFile (cluster: string): Promise<void> {
  const file = join(cluster, 'postmaster.pid')
  if (!await exists(file)) return
  const pid = Number.parseInt(await readFile(file, 'utf8'), 10)
  const process = pid > 0 ? identify(pid) : ''
  if (process === '') return
  if (commandLine(pid).includes(cluster)) await stopProcess(process, POSTGRES_STOP)
  else await rm(file, { force: true })
}

/** Where the link points, if it is one of ours: as root, following any other would be a way to make it remove what it should not. */
async function linkTarget (path: string): Promise<string | null> {
  try {
    const target = await readlink(path)
    if (/^\/var\/tmp\/holdfast-[0-9a-f]{12}\/cluster$/.test(target)) return target
    throw new Error(`${path} is a link to ${target}, which is no place of an embedded Postgres; remove it`)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EINVAL')) return null
    throw error
  }
}

/** As root: the user a cluster belongs to, when an ordinary one made it. */
export async function ownerOf (dataDirectory: string): Promise<Account | undefined> {
  if (!await exists(join(dataDirectory, 'cluster', 'PG_VERSION'))) return undefined
  const { uid, gid } = await stat(join(dataDirectory, 'cluster'))
  return { uid, gid }
}
