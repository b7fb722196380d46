import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../../log.js'
import { lockKey } from './key.js'
import type { Query } from './query.js'
import * as sql from './registry-sql.js'

/** A lock that somebody holds. */
export interface HeldLock {
  /** Null: a transaction's, of a name that is too long for where it is written, or one that it took before another. */
  name: string | null
  /** Of the server process whose session or transaction holds it. */
  pid: number
  application: string
  /** Of a transaction's lock: since when the transaction lasts. */
  since: Date
  /** Sessions that wait: a process is one, whatever number of its requests do. */
  waiters: number
}

export interface Force {
  reason: string
  by: string
}

/** What was done, as it is in the table lock_force_releases. */
export interface ForcedRelease {
  pid: number
  application: string
  /** The holder gave it back when asked, or its session was ended, with all other locks that it had. */
  how: 'asked' | 'terminated'
}

export interface Registry {
  isLocked: (name: string) => Promise<boolean>
  list: () => Promise<HeldLock[]>
  /** Null: nobody holds it. */
  forceRelease: (name: string, force: Force) => Promise<ForcedRelease | null>
}

/** How long a holder has to give back what it was asked for, ms. */
const grace = 1_000

export function createRegistry ({ query, namespace, log }: { query: Query, namespace: string, log: Log }): Registry {
  const isLocked = async (key: string): Promise<boolean> => (await query(sql.isLocked, [key])).length > 0
  const freed = async (key: string): Promise<boolean> => {
    for (const end = performance.now() + grace; performance.now() < end; await delay(20)) {
      if (!await isLocked(key)) return true
    }
    return false
  }
  const takeAway = async (name: string, { reason, by }: Force, atOnce: boolean): Promise<ForcedRelease | null> => {
    const [row] = await query(sql.takeAway, [lockKey(namespace, name), name, reason, by, atOnce]) as ForcedRelease[]
    if (row !== undefined) log.warn({ lock: name, reason, by, ...row }, 'an administrator took a lock away')
    return row ?? null
  }
  return {
    isLocked: (name) => isLocked(lockKey(namespace, name)),
    list: async () => (await query(sql.list, []) as Array<HeldLock & { key: string }>).map((row) => toHeld(row, namespace)),
    async forceRelease (name, force) {
      const asked = await takeAway(name, force, false)
      if (asked === null || await freed(lockKey(namespace, name))) return asked
      return await takeAway(name, force, true) ?? asked
    }
  }
}

/** A name that was cut does not lead to its key. */
function toHeld ({ key, name, pid, application, since, waiters }: HeldLock & { key: string }, namespace: string): HeldLock {
  return { name: name !== null && lockKey(namespace, name) === key ? name : null, pid, application, since, waiters }
}
