import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import type { Test } from 'tap'
import { freePort } from '../../../../services/embedded/server.js'
import { until } from '../../../helper.js'

const run = promisify(execFile)
const asRoot = process.getuid?.() === 0

/** The URL of a PgBouncer in front of the database, from Debian's package, unpacked and not installed. Null where there is none to be had. */
export async function startPgbouncer (t: Test, url: string, mode: 'transaction' | 'session'): Promise<string | null> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-pgbouncer-'))
  await chmod(folder, 0o755)
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  try {
    await unpack(folder)
  } catch (error) {
    t.comment(`PgBouncer cannot be had: ${String(error)}`)
    return null
  }
  const port = await freePort()
  await writeFile(join(folder, 'ini'), configuration(new URL(url), port, mode))
  const child = spawn(join(folder, 'usr', 'sbin', 'pgbouncer'), [join(folder, 'ini')], {
    env: { LD_LIBRARY_PATH: join(folder, 'usr', 'lib', 'x86_64-linux-gnu') }, stdio: 'ignore', ...(asRoot ? { uid: 65_534, gid: 65_534 } : {}) // it refuses root
  })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const bounced = Object.assign(new URL(url), { port: String(port) }).href
  await until('PgBouncer answers', () => answers(bounced))
  return bounced
}

async function unpack (folder: string): Promise<void> {
  const options = ['-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User=root']
  const { stdout } = await run('apt-get', [...options, 'install', '--simulate', '--no-install-recommends', 'pgbouncer'], { env: { ...process.env, LC_ALL: 'C' } })
  const names = Array.from(stdout.matchAll(/^Inst (\S+)/gm), ([, name]) => name ?? '')
  await run('apt-get', [...options, 'download', '-qq', ...names], { cwd: folder, timeout: 60_000 })
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.deb'))) await run('dpkg', ['-x', join(folder, file), folder])
  await chmod(folder, 0o755) // as the package has it
}

function configuration ({ hostname, port, username, password, pathname }: URL, listen: number, mode: string): string {
  return `[databases]
${pathname.slice(1)} = host=${hostname} port=${port} user=${username} password=${decodeURIComponent(password)}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${listen}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
`
}

async function answers (url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => { /* told by connect */ })
  return await client.connect().then(() => client.end()).then(() => true, () => false)
}
