import type { Guarantee } from './record.js'

/** How long duplicates wait, and how many of them. */
export interface WaitLimits {
  /** ms */
  waitTimeout: number
  maxWaitersPerKey: number
}

/** What a route asks for. Durations are ms. What each means: plugins/idempotency/README.md. */
export interface RunSettings extends WaitLimits {
  lease: number
  retention: number
  maxExecution: number
  guarantee: Guarantee
  onConcurrent: 'reject' | 'wait'
  afterCrash: 'retry' | 'uncertain'
}
