import { spawn } from 'node:child_process'
import type { SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { Test } from 'tap'
import type { EmbeddedServices } from '../../../services/embedded/index.js'
import { resetServices } from '../../../services/embedded/index.js'
import { isAlive } from '../../../services/embedded/processes.js'
import { findRedis } from '../../../services/embedded/redis.js'
import { until } from '../../helper.js'

export const isRoot = process.getuid?.() === 0
export const redisCache = resolve('.holdfast', 'test', 'redis')
export const redis = () => findRedis({ cacheDirectory: redisCache, log: () => {} })

/** A folder of its own that every user may enter, removed with what it keeps elsewhere. */
export async function temporaryFolder (t: Test, mode = 0o755): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-test-'))
  await chmod(folder, mode)
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A `.holdfast` folder in a project folder of that mode, with the repository's copy of Redis; what runs there ends with the test. */
export async function holdfastFolder (t: Test, mode?: number): Promise<string> {
  await redis()
  await mkdir(redisCache, { recursive: true })
  const project = await mkdtemp(join(tmpdir(), 'holdfast-test-'))
  await chmod(project, mode ?? 0o755)
  const directory = join(project, '.holdfast')
  await mkdir(directory)
  await symlink(redisCache, join(directory, 'redis'))
  t.teardown(async () => {
    await resetServices(directory)
    await rm(project, { recursive: true })
  })
  return directory
}

export interface User {
  services: EmbeddedServices
  log: string[]
  leave: () => Promise<void>
  kill: () => Promise<void>
}

/** Runs a script of this folder as a process of its own. */
export function spawnScript (name: string, args: string[], options: SpawnOptions = {}) {
  const script = fileURLToPath(new URL(name, import.meta.url))
  return spawn(process.execPath, [script, ...args], { stdio: ['pipe', 'pipe', 'pipe'], ...options })
}

/** Another process that acquires the services. */
export async function spawnUser (t: Test, directory: string, options: SpawnOptions = {}, script = 'user.js'): Promise<User> {
  const child = spawnScript(script, [directory], options)
  const exited = once(child, 'exit')
  const kill = async () => {
    child.kill('SIGKILL')
    await exited
  }
  t.teardown(kill)
  const leave = async () => {
    child.stdin?.end()
    const [code] = await exited
    t.equal(code, 0, 'the process that leaves ends well')
  }
  const [services, log] = await readOutput(child)
  return { services, log, leave, kill }
}

async function readOutput ({ stdout, stderr }: ReturnType<typeof spawn>): Promise<[EmbeddedServices, string[]]> {
  if (stdout === null || stderr === null) throw new Error('no pipes')
  const log: string[] = []
  stderr.on('data', (chunk: Buffer) => log.push(String(chunk)))
  for await (const line of createInterface({ input: stdout })) {
    if (line.startsWith('{')) return [JSON.parse(line) as EmbeddedServices, log]
    log.push(line)
  }
  throw new Error(`the process got no services: ${log.join('\n')}`)
}

/** The recorded identities (`<pid>-<start time>`) of both servers. */
export function identities (directory: string): { postgres: string, redis: string } {
  const read = (name: string) => (JSON.parse(readFileSync(join(directory, name, 'server.json'), 'utf8')) as { process: string }).process
  return { postgres: read('postgres'), redis: read('redis-data') }
}

export const pidOf = (identity: string): number => Number.parseInt(identity, 10)

export async function query (url: string | null, sql: string): Promise<unknown[][]> {
  const client = new pg.Client({ connectionString: url ?? '' })
  try {
    await client.connect()
    return (await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows
  } finally {
    await client.end()
  }
}

export async function command (url: string | null, name: string, ...args: string[]): Promise<unknown> {
  const client = new Redis(url ?? '', { maxRetriesPerRequest: 0 })
  try {
    return await client.call(name, ...args)
  } finally {
    client.disconnect()
  }
}

export async function killHard (identity: string): Promise<void> {
  process.kill(pidOf(identity), 'SIGKILL')
  await until(`${identity} is dead`, () => !isAlive(identity))
}

export const readText = (...path: string[]): Promise<string> => readFile(join(...path), 'utf8')
