import { mkdir, readdir, readlink, symlink, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode, identify, isAlive } from './processes.js'

const RELEASED = 'released'

/**
 * Runs `work` while no other process of this machine runs under the same folder's lock.
 *
 * The folder holds numbered symbolic links whose target names their owner; the highest number counts. Whoever finds it
 * released, or its owner dead, tries to create the next number, which the file system grants to one process only. So a
 * lock left by `kill -9` is free at once, and no clock and no removal of another's lock (the race of lock files that go stale
 * by age) is involved. All users must share one process table: two containers on one folder do not see each other's pids.
 *
 * @param signal ends the waiting, not the work.
 */
export async function withLock<T> (directory: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  await mkdir(directory, { recursive: true })
  const number = await take(directory, signal)
  try {
    return await work()
  } finally {
    await symlink(RELEASED, join(directory, String(number + 1)))
  }
}

async function take (directory: string, signal?: AbortSignal): Promise<number> {
  for (;;) {
    signal?.throwIfAborted()
    const last = await latest(directory)
    if (!isAlive(await ownerOf(directory, last)) && await create(directory, last + 1)) return last + 1
    await sleep(20 + Math.random() * 40, undefined, { signal })
  }
}

async function create (directory: string, number: number): Promise<boolean> {
  try {
    await symlink(identify(process.pid), join(directory, String(number)))
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw error
  }
  const mine = await latest(directory) === number // not so when ours was looked up long ago and swept since
  await remove(directory, mine ? (other) => other < number : (other) => other === number)
  return mine
}

async function remove (directory: string, matches: (number: number) => boolean): Promise<void> {
  for (const number of (await numbers(directory)).filter(matches)) {
    await unlink(join(directory, String(number)))
  }
}

async function ownerOf (directory: string, number: number): Promise<string> {
  try {
    return number === 0 ? RELEASED : await readlink(join(directory, String(number)))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return RELEASED // swept: a higher one exists, and creating the next will find out
    throw error
  }
}

const numbers = async (directory: string): Promise<number[]> => (await readdir(directory)).map(Number).filter(Number.isInteger)

const latest = async (directory: string): Promise<number> => Math.max(0, ...await numbers(directory))
