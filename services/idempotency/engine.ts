import type { Log } from '../log.js'
import { endingOf, leaseLeft } from './attempt.js'
import type { Attempt } from './attempt.js'
import { createAttempts } from './attempts.js'
import type { Attempts } from './attempts.js'
import { createCache } from './cache.js'
import type { CacheOptions, FinishedRecord, RecordCache } from './cache.js'
import { noObserver } from './observer.js'
import type { Layer, Observer } from './observer.js'
import type { ClaimResult, StoredResponse } from './record.js'
import type { RunSettings } from './settings.js'
import type { IdempotencyStore } from './store.js'
import { createWaiting } from './waiting.js'
import type { Waited, Waiting } from './waiting.js'

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
  /** Aborts when the client is gone: its duplicate need not wait any longer. Called when it waits. */
  gone?: (() => AbortSignal) | undefined
}

export interface IdempotencyEngine extends Pick<Attempts, 'watch' | 'unwatch' | 'settled'> {
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
  /** Before the server stops: nobody waits for another process any more, or begins to wait. Those who do get a conflict. */
  drain: () => void
  /** Ends all that runs by itself. The store stays its maker's to close. */
  close: () => Promise<void>
}

export interface EngineOptions {
  store: IdempotencyStore
  log: Log
  cache: CacheOptions
  maxWaiters: number
  observer?: Observer
  /** 22 base64url characters that nobody can guess. Default: 128 random bits. */
  newToken?: () => string
  /** A clock in ms that never jumps. Default: `performance.now`. */
  now?: () => number
}

export function createEngine ({ store, log, cache: cacheOptions, maxWaiters, observer = noObserver, newToken, now = () => performance.now() }: EngineOptions): IdempotencyEngine {
  const cache = createCache(cacheOptions)
  const waiting = createWaiting({ maxWaiters })
  const attempts = createAttempts({ store, cache, log, observer, now, ...(newToken === undefined ? {} : { newToken }) })
  const deps: Deps = { store, log, cache, attempts, waiting, observer, now }
  return {
    recall: (id, fingerprint) => recall(cache, id, fingerprint),
    begin: (question, settings) => begin(deps, question, settings, now() + settings.waitTimeout),
    finish (attempt, response) {
      observer.handled(now() - attempt.startedAt)
      return attempts.finish(attempt, response)
    },
    release (attempt) {
      observer.handled(now() - attempt.startedAt)
      return attempts.release(attempt)
    },
    committed (attempt, response, isStored) {
      observer.handled(now() - attempt.startedAt)
      return attempts.committed(attempt, response, isStored)
    },
    abandon (attempt) {
      observer.handled(now() - attempt.startedAt)
      attempts.end(attempt, null)
    },
    inFlight: () => attempts.count(),
    waiters: () => waiting.count(),
    drain: () => { waiting.close() },
    watch: attempts.watch,
    unwatch: attempts.unwatch,
    settled: attempts.settled,
    async close () {
      waiting.close()
      await attempts.close()
    }
  }
}

interface Deps {
  store: IdempotencyStore
  log: Log
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

async function begin (deps: Deps, question: Question, settings: RunSettings, until: number): Promise<Decision> {
  const known = recall(deps.cache, question.id, question.fingerprint)
  if (known !== null) return known
  const attempt = deps.attempts.find(question.id)
  const step = await (attempt === undefined ? claim(deps, question, settings) : join(deps, attempt, question, settings))
  return step === 'again' ? await begin(deps, question, { ...settings, waitTimeout: until - deps.now() }, until) : step
}

/** Nobody in this process has the key: the store is asked. */
async function claim (deps: Deps, question: Question, settings: RunSettings): Promise<Step> {
  const { attempts, observer } = deps
  const attempt = attempts.claim(question.id, question.fingerprint, settings, question.layer)
  let result: ClaimResult
  try {
    result = await attempt.granted
  } catch (error) {
    attempts.end(attempt, null)
    throw error
  }
  if (result.state !== 'claimed') {
    attempts.end(attempt, null)
    return await decide(deps, result, attempt.startedAt, question, settings)
  }
  attempts.confirm(attempt)
  if (!result.recovered) return { action: 'run', attempt }
  observer.outcome(question.layer, 'recovered')
  return settings.afterCrash === 'retry' ? { action: 'run', attempt } : await bury(deps, attempt)
}

/** What the attempt before has done is not known, and the route asks not to find out by doing it again. */
async function bury ({ attempts, log }: Deps, attempt: Attempt): Promise<Decision> {
  await attempts.finish(attempt, null).catch((err: unknown) => { log.error({ err }, 'a crashed request could not be marked: its next retry is') })
  return { action: 'tombstone' }
}

/** An attempt of this process has the key: the store is not asked again. */
async function join (deps: Deps, attempt: Attempt, question: Question, settings: RunSettings): Promise<Step> {
  const result = await attempt.granted
  if (result.state !== 'claimed') return await decide(deps, result, attempt.startedAt, question, settings)
  if (attempt.claim.fingerprint !== question.fingerprint) return { action: 'mismatch' }
  if (deps.attempts.find(question.id) !== attempt) return 'again'
  const left = Math.max(0, leaseLeft(attempt, deps.now()))
  return settings.onConcurrent === 'reject'
    ? { action: 'conflict', leaseLeft: left }
    : await wait(deps, attempt.claim.token, () => endingOf(attempt), left, question, settings)
}

/** The store, asked at `asked`, says that another attempt holds the key, or finished it. */
async function decide (deps: Deps, found: Exclude<ClaimResult, { state: 'claimed' }>, asked: number, question: Question, settings: RunSettings): Promise<Step> {
  const { id, fingerprint } = question
  if (found.state !== 'running') deps.cache.put(id, found, (found.left ?? 0) - (deps.now() - asked))
  // Before the conflict: another request under this key is a mistake that waiting does not mend. Both digests are ours, so a plain comparison tells nothing.
  if (found.fingerprint !== fingerprint) return { action: 'mismatch' }
  if (found.state !== 'running') return toDecision(found, false)
  const { leaseLeft, token } = found
  if (settings.onConcurrent === 'reject') return { action: 'conflict', leaseLeft }
  return await wait(deps, token, (signal) => watch(deps, id, token, signal), leaseLeft, question, settings)
}

/** Never rejects: that another attempt runs is known, so a store that fails now does not make this request one that may run unprotected. */
async function watch ({ store, log }: Deps, id: string, token: string, signal: AbortSignal): Promise<Waited> {
  try {
    return await store.waitFor(id, token, signal)
  } catch (err) {
    if (!signal.aborted) log.warn({ err, key: id.slice(0, 8) }, 'a wait for a running request broke off')
    return 'late'
  }
}

async function wait ({ waiting }: Deps, token: string, start: (signal: AbortSignal) => Promise<Waited>, leaseLeft: number, { gone }: Question, settings: RunSettings): Promise<Step> {
  const ended = await waiting.join(token, start, settings, gone)
  if (ended === 'late') return { action: 'conflict', leaseLeft }
  return ended === null ? 'again' : toDecision(ended, true)
}

function toDecision (record: FinishedRecord, coalesced: boolean): Decision {
  return record.state === 'completed' ? { action: 'replay', response: record.response, coalesced } : { action: 'tombstone' }
}
