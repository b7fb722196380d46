import type { Test } from 'tap'
import { digest } from '../../../services/idempotency/digest.js'
import { createEngine } from '../../../services/idempotency/engine.js'
import type { Decision, EngineOptions, IdempotencyEngine, Question } from '../../../services/idempotency/engine.js'
import type { Attempt } from '../../../services/idempotency/attempt.js'
import type { StoredResponse } from '../../../services/idempotency/record.js'
import type { RunSettings } from '../../../services/idempotency/settings.js'
import { createMemoryStore } from '../../../services/idempotency/stores/memory.js'
import { silentLog } from '../../../services/log.js'

export const settings: RunSettings = {
  lease: 30_000,
  retention: 86_400_000,
  maxExecution: 600_000,
  guarantee: 'fast',
  onConcurrent: 'reject',
  afterCrash: 'retry',
  waitTimeout: 10_000,
  maxWaitersPerKey: 100
}

export const waits: RunSettings = { ...settings, onConcurrent: 'wait' }

export const ok: StoredResponse = { status: 200, headers: {}, body: 'ok' }

/** An engine over a memory store of its own, without a cache. It is closed with the test. */
export function engineOf (t: Test, options: Partial<EngineOptions> = {}): IdempotencyEngine {
  const engine = createEngine({ store: createMemoryStore(), log: silentLog, cache: { maxRecords: 0, maxBytes: 0 }, maxWaiters: 1_000, ...options })
  t.teardown(() => engine.close())
  return engine
}

export function question (key = 'key', content = 'content'): Question {
  return { id: digest('test', [key]), fingerprint: digest('test', [content]), layer: 'key' }
}

/** The attempt of a request that may run. */
export function running (decision: Decision): Attempt {
  if (decision.action !== 'run') throw new Error(`the decision is to ${decision.action}`)
  return decision.attempt
}

/** A clock that stands until it is moved. */
export function handClock (): { now: () => number, skip: (ms: number) => void } {
  let time = 0
  return { now: () => time, skip: (ms) => { time += ms } }
}
