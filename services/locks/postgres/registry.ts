import { setTimeout as delay } from 'node:timers/promises'
import type { Query } from '../../database/query.js'
import type { Log } from '../../log.js'
import { invalidOption, matching } from '../../options.js'
import type { Rules } from '../../options.js'
import { FST_LOCKS_USAGE } from '../errors.js'
import { textOf } from '../names.js'
import { lockKey } from './key.js'
import * as sql from './registry-sql.js'

/** A lock that somebody holds. */
export interface HeldLock {
  /** Null: a transaction's, of a name that is too long for where it is written, one that it took before another, or one of another prefix. */
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
  /** For the audit. */
  reason: string
  /** Who does it, for the audit. */
  by: string
}

const said = matching(/\S/, 'a string that says something')
const forceRules: Rules<Force> = { reason: said, by: said }

/** What was done, as it is in the table lock_force_releases. */
export interface ForcedRelease {
  pid: number
  application: string
  /** The holder gave it back when asked, or its session was ended, with all other locks that it had. */
  how: 'asked' | 'terminated'
}

/** Of locks in Postgres, of all processes. Rejects with what the client rejects with, where Postgres cannot be had. */
export interface Registry {
  isLocked: (name: string) => Promise<boolean>
  list: () => Promise<HeldLock[]>
  /**
   * Takes a lock from its holder: asks the process that has it, and where that does not give it back within 1 s, or where a transaction has it, ends the
   * session, with all its locks. Each act is a row of `lock_force_releases`, and logged. The work itself is not stopped. Null: nobody holds it.
   */
  forceRelease: (name: string, force: Force) => Promise<ForcedRelease | null>
}

/** How long a holder has to give back what it was asked for, ms. */
const grace = 1_000

export interface RegistryDeps {
  query: Query
  namespace: string
  log: Log
}

export function createRegistry ({ query, namespace, log }: RegistryDeps): Registry {
  const isLocked = async (name: string): Promise<boolean> => (await query(sql.isLocked, [lockKey(namespace, textOf(name))])).length > 0
  const takeAway = async (given: string, { reason, by }: Force, atOnce: boolean): Promise<ForcedRelease | null> => {
    const name = textOf(given)
    const [row] = await query(sql.takeAway, [lockKey(namespace, name), name, reason, by, atOnce]) as ForcedRelease[]
    if (row !== undefined) log.warn({ lock: name, reason, by, ...row }, 'an administrator took a lock away')
    return row ?? null
  }
  return {
    isLocked,
    list: async () => (await query(sql.list, []) as ListedRow[]).filter((row) => row.registered === null || isOf(namespace, row)).map((row) => toHeld(row, namespace)),
    async forceRelease (name, force) {
      const problem = invalidOption(force, forceRules) ?? invalidOption({ reason: force.reason ?? null, by: force.by ?? null }, forceRules)
      if (problem !== null) throw new FST_LOCKS_USAGE(problem)
      const asked = await takeAway(name, force, false)
      if (asked === null || await isFreed(() => isLocked(name))) return asked
      return await takeAway(name, force, true) ?? asked
    }
  }
}

async function isFreed (isLocked: () => Promise<boolean>): Promise<boolean> {
  for (const end = performance.now() + grace; performance.now() < end; await delay(20)) {
    if (!await isLocked()) return true
  }
  return false
}

interface ListedRow extends HeldLock {
  key: string
  /** The name as the holder's process wrote it down; null for a transaction. */
  registered: string | null
}

function isOf (namespace: string, { key, name }: ListedRow): boolean {
  return name !== null && lockKey(namespace, name) === key
}

/** A name that was cut does not lead to its key. */
function toHeld (row: ListedRow, namespace: string): HeldLock {
  const { name, pid, application, since, waiters } = row
  return { name: isOf(namespace, row) ? name : null, pid, application, since, waiters }
}
