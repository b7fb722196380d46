import type { Pool } from 'pg'
import type { Log } from '../log.js'
import { changeFlag } from './change.js'
import type { FlagChange } from './change.js'
import { createReader } from './reader.js'
import type { FlagState, FlagValue } from './state.js'
import { createFlagStore } from './store.js'

export type { FlagChange, FlagState, FlagValue }

export interface Flag {
  /** What holds now in this process. */
  current: () => FlagState
  /** Reads the flag, and from then on again and again. Throws when that first reading fails: nobody would know what holds. */
  start: () => Promise<void>
  /** Reads the flag now. Never throws: while Postgres is out of reach the last value holds. */
  refresh: () => Promise<FlagState>
  /**
   * Changes the flag for all processes. Throws when Postgres is out of reach.
   *
   * @param by who changes it, for the log and the row
   * @returns what was stored, or null when `expectedRevision` is not the revision any more
   */
  set: (change: FlagChange, by: string) => Promise<FlagState | null>
  /** Ends the polling. The pool stays the caller's. */
  close: () => Promise<void>
}

export interface FlagOptions {
  postgres: Pool
  name: string
  /** What holds while the table has no row for the flag. */
  defaults: FlagValue
  log: Log
  /** Pause between two readings, ms: with the time of a reading the longest that a change takes to arrive. Default: 500. */
  pollEvery?: number
}

/** A reading that takes longer is given up, ms: a connection that hangs must not keep a change away. */
const readTimeout = 1_000

/** A feature flag that all processes share through a row in Postgres. They poll it, so that a change arrives while Redis is gone. */
export function createFlag ({ postgres, name, defaults, log, pollEvery = 500 }: FlagOptions): Flag {
  const store = createFlagStore({ postgres, name, readTimeout })
  const { current, read, refresh } = createReader({ store, name, defaults, log })
  let timer: NodeJS.Timeout | null = null
  let reading: Promise<unknown> = Promise.resolve()
  let closed = false

  function schedule (): void {
    if (!closed) timer = setTimeout(() => { reading = refresh().then(schedule) }, pollEvery).unref()
  }

  return {
    current,
    refresh,
    async start () {
      await read()
      schedule()
    },
    async set (change, by) {
      const stored = await changeFlag({ store, name, defaults, log }, change, by)
      if (stored !== null) await refresh()
      return stored
    },
    async close () {
      closed = true
      if (timer !== null) clearTimeout(timer)
      await reading
    }
  }
}
