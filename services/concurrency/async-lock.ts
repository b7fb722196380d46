import { createSemaphore } from './semaphore.js'
import type { Semaphore } from './semaphore.js'
import { checkDoor } from './work.js'
import type { Door, RunOptions, Work } from './work.js'

export interface AsyncLock {
  /**
   * Runs the work while no other runs with this key, first come, first served. Within the work the same key is never free: a nested call times out.
   *
   * @throws what the work throws, FST_CONCURRENCY_TIMEOUT, FST_CONCURRENCY_ABORTED, FST_CONCURRENCY_CLOSED
   */
  run: <T>(key: string, work: Work<T>, options?: RunOptions) => Promise<T>
  /** How many wait, for all keys. */
  waiting: () => number
  /** How many keys are held. */
  held: () => number
  /** Begins nothing new and ends the waits of what says that it does not go on while the server closes. What runs is left to end. */
  drain: () => void
  /** The same for all. */
  close: () => void
}

interface Entry {
  semaphore: Semaphore
  /** Calls that hold the key or wait for it. With the last one it is forgotten. */
  users: number
}

export function createAsyncLock ({ name }: { name: string }): AsyncLock {
  const entries = new Map<string, Entry>()
  let door: Door = 'open'

  function entryOf (key: string): Entry {
    const found = entries.get(key)
    if (found !== undefined) return found
    const entry = { semaphore: createSemaphore({ name, size: 1 }), users: 0 }
    entries.set(key, entry)
    return entry
  }

  return {
    async run (key, work, options = {}) {
      checkDoor(door, options, name)
      const entry = entryOf(key)
      entry.users++
      try {
        return await entry.semaphore.run(work, options)
      } finally {
        if (--entry.users === 0) entries.delete(key)
      }
    },
    waiting: () => [...entries.values()].reduce((sum, { semaphore }) => sum + semaphore.waiting(), 0),
    held: () => entries.size,
    drain () {
      if (door === 'open') door = 'draining'
      for (const { semaphore } of entries.values()) semaphore.drain()
    },
    close () {
      door = 'closed'
      for (const { semaphore } of entries.values()) semaphore.close()
    }
  }
}
