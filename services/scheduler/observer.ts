import type { BegunRun } from './ledger.js'

/** What became of one start of a run: `retry` failed and is repeated, `interrupted` by the stop of the process, `lost` to another process. */
export const results = ['done', 'retry', 'dead', 'cancelled', 'interrupted', 'lost'] as const
export type Result = typeof results[number]

/** What metrics are told. */
export interface Observer {
  started: (run: BegunRun) => void
  /** `ms` since the start; null: it was not started. */
  ended: (run: BegunRun, result: Result, ms: number | null) => void
}

export const noObserver: Observer = { started () {}, ended () {} }
