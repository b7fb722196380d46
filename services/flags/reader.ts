import type { Log } from '../log.js'
import { isSame, stateOf } from './state.js'
import type { FlagState, FlagValue } from './state.js'
import type { FlagStore } from './store.js'

export interface FlagReader {
  current: () => FlagState
  /** Throws what the store throws. */
  read: () => Promise<void>
  /** Never throws: an outage is logged once, and the last value holds. */
  refresh: () => Promise<FlagState>
}

export interface ReaderDeps {
  store: FlagStore
  name: string
  defaults: FlagValue
  log: Log
}

/** The last value that was read. */
export function createReader ({ store, name, defaults, log }: ReaderDeps): FlagReader {
  let state = stateOf(null, defaults)
  let [issued, applied] = [0, 0]
  let failing = false

  async function read (): Promise<void> {
    const number = ++issued
    const row = await store.read()
    if (number < applied) return // a reading that began later has ended before: it saw more
    applied = number
    const from = state
    state = stateOf(row, defaults)
    if (!isSame(from, state)) log.info({ flag: name, from, to: state }, 'a feature flag took effect')
  }

  return {
    current: () => state,
    read,
    async refresh () {
      try {
        await read()
        if (failing) log.info({ flag: name }, 'the feature flag can be read again')
        failing = false
      } catch (err) {
        if (!failing) log.warn({ err, flag: name, state }, 'the feature flag cannot be read: its last value holds')
        failing = true
      }
      return state
    }
  }
}
