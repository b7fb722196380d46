import type { Log } from '../../log.js'
import { halvesOf } from './key.js'
import type { Session } from './session.js'
import * as sql from './sql.js'

export interface Waiters {
  /** Calls `wake` when the key may be free. Resolves, once a release cannot be missed any more, with what ends it. */
  add: (keys: readonly string[], wake: () => void) => Promise<() => void>
  wake: (key: string) => void
}

/** Who waits in this process. The session shares the lock of the pair while somebody does: other processes see that, and notify. */
export function createWaiters (session: Session, log: Log): Waiters {
  const waiting = new Map<string, Set<() => void>>()
  const tell = async (statement: 'startWaiting' | 'stopWaiting', key: string): Promise<void> => {
    const { high, low } = halvesOf(key)
    await session.query({ name: statement, text: sql[statement] }, [high, low])
  }
  const remove = (key: string, wake: () => void): void => {
    const wakes = waiting.get(key)
    if (wakes?.delete(wake) !== true || wakes.size > 0) return
    waiting.delete(key)
    tell('stopWaiting', key).catch((err: unknown) => { log.debug({ err }, 'the session ended before its waiting did') })
  }
  return {
    async add (keys, wake) {
      const fresh = keys.filter((key) => !waiting.has(key))
      for (const key of keys) waiting.set(key, (waiting.get(key) ?? new Set()).add(wake))
      const end = (): void => { for (const key of keys) remove(key, wake) }
      try {
        await Promise.all(fresh.map((key) => tell('startWaiting', key)))
      } catch (error) {
        end()
        throw error
      }
      return end
    },
    wake (key) {
      for (const wake of [...waiting.get(key) ?? []]) wake()
    }
  }
}
