import type { Log } from '../log.js'
import { isSame, stateOf } from './state.js'
import type { FlagState, FlagValue } from './state.js'
import type { FlagRow, FlagStore } from './store.js'

export interface FlagChange extends Partial<FlagValue> {
  /** The revision that the change is made to. Without it the last one to write wins. */
  expectedRevision?: number
}

export interface ChangeDeps {
  store: FlagStore
  name: string
  defaults: FlagValue
  log: Log
}

/** Changes the row and says who did. Null when another change was faster than one that names its revision. */
export async function changeFlag ({ store, name, defaults, log }: ChangeDeps, change: FlagChange, by: string): Promise<FlagState | null> {
  for (;;) {
    const row = await store.read()
    const from = stateOf(row, defaults)
    const value = { enabled: change.enabled ?? from.enabled, percent: change.percent ?? from.percent }
    const isThere = row !== null && isSame(value, from)
    const isStale = change.expectedRevision !== undefined && change.expectedRevision !== from.revision
    if (isStale && !(isThere && isRepeated(row, change, by))) return null
    if (isThere) return from
    const written = await store.replace(row, value, by)
    if (written === null) continue // another one was faster, and this one looks again
    const to = stateOf(written, defaults)
    log.info({ flag: name, by, from, to }, 'an administrator changed a feature flag')
    return to
  }
}

/** The caller's own change, sent again because its answer was lost: a success (RFC 9110 §13.1.1), not a conflict with itself. */
function isRepeated ({ revision, updatedBy }: FlagRow, { expectedRevision }: FlagChange, by: string): boolean {
  return updatedBy === by && revision - 1 === expectedRevision
}
