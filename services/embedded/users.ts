import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { identify, isAlive } from './processes.js'

/** Registers this process as a user: a file `<pid>-<start time>.<id>`. @returns how to leave. */
export async function register (directory: string): Promise<() => Promise<void>> {
  await mkdir(directory, { recursive: true })
  const file = join(directory, `${identify(process.pid)}.${randomUUID()}`)
  await writeFile(file, '')
  return () => rm(file, { force: true })
}

/** The pids of the users that live. Files of dead ones are removed. Call it under the lock. */
export async function liveUsers (directory: string): Promise<number[]> {
  await mkdir(directory, { recursive: true })
  const pids: number[] = []
  for (const name of await readdir(directory)) {
    if (isAlive(name.split('.', 1)[0] ?? '')) pids.push(Number.parseInt(name, 10))
    else await rm(join(directory, name), { force: true })
  }
  return pids
}
