import type { Log } from '../log.js'
import { endingOf, leaseLeft } from './attempt.js'
import type { Attempt } from './attempt.js'
import { createAttempts } from './attempts.js'
import type { Attempts } from './attempts.js'
import { createCache } from './cache.js'
import type { CacheOptions, FinishedRecord, RecordCache } from './cache.js'
import { noObserver } from './observer.js'
import type { Layer, Observer } from './observer.js'
import type { ClaimResult, Ended, StoredResponse } from './record.js'
import type { RunSettings } from './settings.js'
import type { IdempotencyStore } from './store.js'
import { createWaiting } from './waiting.js'
import type { Waiting } from './waiting.js'

/** What a request is to do. */
export type Decision =
  | { action: 'run', attempt: Attempt }
  /** `coalesced`: the first one ran while this one waited. */
  | { action: 'replay', response: StoredResponse, coalesced: boolean }
  /** Finished, but the response cannot be replayed. */
  | { action: 'tombstone' }
  /** Another attempt runs; a retry may find it finished, or take it over, after `leaseLeft` ms. */
  | { action: 'conflict', leaseLeft: number }
  /** The key was used for another request. */
  | { action: 'mismatch' }

export interface Question {
  /** Digest of scope and key. */
  id: string
  fingerprint: string
  layer: Layer
}

export interface IdempotencyEngine {
  /** What this process knows of a key without asking the store. */
  recall: (id: string, fingerprint: string) => Decision | null
  /** Throws what the store throws. */
  begin: (question: Question, settings: RunSettings) => Promise<Decision>
  /** Ends the attempt: exactly one of the four is called, once. */
  finish: Attempts['finish']
  committed: Attempts['committed']
  release: Attempts['release']
  /** Leaves the claim to its lease, when it is not known what became of the work. */
  abandon: (attempt: Attempt) => void
  inFlight: () => number
  waiters: () => number
  /** Ends waits and timers. The store stays its maker's to close. */
  close: () => Promise<void>
}

export interface EngineOptions {
  store: IdempotencyStore
  log: Log
  cache: CacheOptions
  maxWaiters: number
  observer?: Observer
  /** 22 base64url characters that nobody can guess. Default: a random UUID, 122 random bits. */
  newToken?: () => string
  /** A clock in ms that never jumps. Default: `performance.now`. */
  now?: () => number
}

export function createEngine ({ store, log, cache: limits, maxWaiters, observer = noObserver, newToken, now = () => performance.now() }: EngineOptions): IdempotencyEngine {
  const cache = createCache(limits)
  const waiting = createWaiting({ maxWaiters })
  const attempts = createAttempts({ store, cache, log, observer, now, ...(newToken === undefined ? {} : { newToken }) })
  const deps: Deps = { store, cache, attempts, waiting, observer, now }
  return {
    recall: (id, fingerprint) => recall(cache, id, fingerprint),
    async begin (question, settings) {
      const until = now() + settings.waitTimeout
      for (let limits = settings; ; limits = { ...settings, waitTimeout: until - now() }) {
        const known = recall(cache, question.id, question.fingerprint)
        if (known !== null) return known
        const attempt = attempts.find(question.id)
        const decision = attempt === undefined ? await claim(deps, question, limits) : await join(deps, attempt, question, limits)
        if (decision !== 'again') return decision
      }
    },
    finish: attempts.finish,
    committed: attempts.committed,
    release: attempts.release,
    abandon: (attempt) => { attempts.end(attempt, null) },
    inFlight: () => attempts.count(),
    waiters: () => waiting.count(),
    async close () {
      waiting.close()
      await attempts.close()
    }
  }
}

interface Deps {
  store: IdempotencyStore
  cache: RecordCache
  attempts: Attempts
  waiting: Waiting
  observer: Observer
  now: () => number
}

type Step = Decision | 'again'

function recall (cache: RecordCache, id: string, fingerprint: string): Decision | null {
  const record = cache.get(id)
  if (record === undefined) return null
  return record.fingerprint === fingerprint ? toDecision(record, false) : { action: 'mismatch' }
}

/** Nobody in this process has the key: the store is asked. */
async function claim (deps: Deps, question: Question, settings: RunSettings): Promise<Step> {
  const { attempts, observer } = deps
  const attempt = attempts.claim(question.id, question.fingerprint, settings, question.layer)
  const result = await attempt.granted.catch((error: unknown) => {
    attempts.end(attempt, null)
    throw error
  })
  if (result.state !== 'claimed') {
    attempts.end(attempt, null)
    return await decide(deps, result, question, settings)
  }
  attempts.confirm(attempt)
  if (!result.recovered) return { action: 'run', attempt }
  observer.outcome(question.layer, 'recovered')
  if (settings.afterCrash === 'retry') return { action: 'run', attempt }
  await attempts.finish(attempt, null) // what the attempt before has done is not known, and the route asks not to find out by doing it again
  return { action: 'tombstone' }
}

/** An attempt of this process has the key: the store is not asked again. */
async function join (deps: Deps, attempt: Attempt, question: Question, settings: RunSettings): Promise<Step> {
  const result = await attempt.granted
  if (result.state !== 'claimed') return await decide(deps, result, question, settings)
  if (attempt.claim.fingerprint !== question.fingerprint) return { action: 'mismatch' }
  if (deps.attempts.find(question.id) !== attempt) return 'again'
  const left = attempt.confirmedAt === 0 ? attempt.claim.lease : leaseLeft(attempt, deps.now())
  if (left <= 0) {
    deps.attempts.end(attempt, null) // the store may have given the key to another by now: it is asked
    return 'again'
  }
  return settings.onConcurrent === 'reject'
    ? { action: 'conflict', leaseLeft: left }
    : await wait(deps, attempt.claim.token, () => endingOf(attempt), left, settings)
}

/** The store says that another attempt holds the key, or finished it. */
async function decide (deps: Deps, found: Exclude<ClaimResult, { state: 'claimed' }>, { id, fingerprint }: Question, settings: RunSettings): Promise<Step> {
  if (found.state !== 'running') deps.cache.put(id, found, found.left ?? 0)
  // Before the conflict: another request under this key is a mistake that waiting does not mend. Both digests are ours, so a plain comparison tells nothing.
  if (found.fingerprint !== fingerprint) return { action: 'mismatch' }
  if (found.state !== 'running') return toDecision(found, false)
  const { leaseLeft, token } = found
  if (settings.onConcurrent === 'reject') return { action: 'conflict', leaseLeft }
  return await wait(deps, token, (signal) => deps.store.waitFor(id, token, signal), leaseLeft, settings)
}

async function wait ({ waiting }: Deps, token: string, start: (signal: AbortSignal) => Promise<Ended>, leaseLeft: number, settings: RunSettings): Promise<Step> {
  const ended = await waiting.join(token, start, settings)
  if (ended === 'late') return { action: 'conflict', leaseLeft }
  return ended === null ? 'again' : toDecision(ended, true)
}

function toDecision (record: FinishedRecord, coalesced: boolean): Decision {
  return record.state === 'completed' ? { action: 'replay', response: record.response, coalesced } : { action: 'tombstone' }
}
