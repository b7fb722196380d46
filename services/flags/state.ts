import type { FlagRow } from './store.js'

export interface FlagValue {
  enabled: boolean
  /** Of the subjects, 0 to 100. */
  percent: number
}

export interface FlagState extends FlagValue {
  /** Grows by one with every change; 0 while nobody has set the flag and the defaults hold. */
  revision: number
  updatedAt: Date | null
}

export function stateOf (row: FlagRow | null, { enabled, percent }: FlagValue): FlagState {
  if (row === null) return { enabled, percent, revision: 0, updatedAt: null }
  return { enabled: row.enabled, percent: row.percent, revision: row.revision, updatedAt: row.updatedAt }
}

export function isSame (one: FlagValue, other: FlagValue): boolean {
  return one.enabled === other.enabled && one.percent === other.percent
}
