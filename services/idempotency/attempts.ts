import { EventEmitter, once } from 'node:events'
import type { Log } from '../log.js'
import { randomToken } from '../random-token.js'
import { stop } from './attempt.js'
import type { Attempt } from './attempt.js'
import type { FinishedRecord, RecordCache } from './cache.js'
import { createHeartbeat } from './heartbeat.js'
import { createLateWrites } from './late-writes.js'
import type { Layer, Observer } from './observer.js'
import type { Claim, Ended, StoredResponse } from './record.js'
import type { RunSettings } from './settings.js'
import type { IdempotencyStore } from './store.js'

export interface AttemptsOptions {
  store: IdempotencyStore
  cache: RecordCache
  log: Log
  observer: Observer
  newToken?: () => string
  now: () => number
}

/** The attempts of this process, from the claim to the end. */
export interface Attempts {
  find: (id: string) => Attempt | undefined
  /** Claims the key: what the store says is in the attempt's `granted`. */
  claim: (id: string, fingerprint: string, settings: RunSettings, layer: Layer) => Attempt
  /** The store said `claimed`: from now on its lease is extended. */
  confirm: (attempt: Attempt) => void
  /** Finishes the record, with null as a tombstone. False: the claim was lost to another attempt. Throws what the store throws. */
  finish: (attempt: Attempt, response: StoredResponse | null) => Promise<boolean>
  /**
   * The record is committed in Postgres by other means: tells those who wait for it, and the store unless `isStored` says that it has those rows.
   * Throws what the store throws.
   */
  committed: (attempt: Attempt, response: StoredResponse | null, isStored: boolean) => Promise<void>
  /** Gives the key back. False: the claim was lost to another attempt. */
  release: (attempt: Attempt) => Promise<boolean>
  /** Takes it off the list, and tells those who wait for it. */
  end: (attempt: Attempt, ended: Ended) => void
  count: () => number
  /** Its handler runs, and its end will be seen: `settled` waits for it. */
  watch: (attempt: Attempt) => void
  /** Its handler has ended, and nothing more will come of it. */
  unwatch: (attempt: Attempt) => void
  /** Resolves when all that are watched have ended, or at the signal; with whether they have. */
  settled: (signal?: AbortSignal) => Promise<boolean>
  close: () => Promise<void>
}

export function createAttempts ({ store, cache, log, observer, newToken = randomToken, now }: AttemptsOptions): Attempts {
  const attempts = new Map<string, Attempt>()
  const watched = new Set<Attempt>()
  const events = new EventEmitter()
  const unwatch = (attempt: Attempt): void => {
    if (watched.delete(attempt) && watched.size === 0) events.emit('settled')
  }
  const end = (attempt: Attempt, ended: Ended): void => {
    if (attempts.get(attempt.claim.id) === attempt) attempts.delete(attempt.claim.id)
    unwatch(attempt)
    attempt.ending?.resolve(ended)
  }
  const lose = (attempt: Attempt): void => {
    if (attempt.lost) return
    attempt.lost = true
    observer.outcome(attempt.layer, 'lease_lost')
    stop(attempt, 'the claim was lost to another attempt')
    end(attempt, null)
  }
  const running = (): Attempt[] => [...attempts.values()].filter(({ confirmedAt, closing }) => confirmedAt !== null && !closing)
  const heartbeat = createHeartbeat({ store, running, onLost: lose, onOver: (attempt) => { end(attempt, null) }, log, now })
  const lateWrites = createLateWrites({ store, log })
  const endDeps: EndDeps = { store, cache, end, lose, late: lateWrites.complete }
  return {
    find: (id) => attempts.get(id),
    claim (id, fingerprint, { lease, retention, guarantee, maxExecution }, layer) {
      const claim: Claim = { id, fingerprint, token: newToken(), lease, retention, guarantee }
      const attempt: Attempt = { claim, layer, startedAt: now(), granted: store.claim(claim), confirmedAt: null, asked: false, maxExecution, lost: false, closing: false, stopped: null, controller: null, ending: null }
      attempts.set(id, attempt)
      return attempt
    },
    confirm (attempt) {
      attempt.confirmedAt = attempt.startedAt
      heartbeat.cover(attempt.claim.lease)
    },
    finish: (attempt, response) => finish(endDeps, attempt, response),
    committed: (attempt, response, isStored) => committed(endDeps, attempt, response, isStored),
    release: (attempt) => release(endDeps, attempt),
    end,
    count: () => attempts.size,
    watch (attempt) { if (attempts.get(attempt.claim.id) === attempt) watched.add(attempt) },
    unwatch,
    async settled (signal) {
      if (watched.size > 0) await once(events, 'settled', { signal }).catch(() => {}) // nothing but the signal rejects it
      return watched.size === 0
    },
    close () {
      heartbeat.close()
      return lateWrites.close()
    }
  }
}

interface EndDeps {
  store: IdempotencyStore
  cache: RecordCache
  end: Attempts['end']
  lose: (attempt: Attempt) => void
  late: (claim: Claim, response: StoredResponse | null) => void
}

async function finish ({ store, end, lose, late }: EndDeps, attempt: Attempt, answer: StoredResponse | null): Promise<boolean> {
  const { claim } = attempt
  attempt.closing = true
  const response = answer === null ? null : { ...answer, body: ownBody(answer) }
  const record = recordOf(claim, response)
  try {
    const kept = await store.complete(claim, response)
    if (kept) end(attempt, record)
    else lose(attempt)
    return kept
  } catch (error) {
    late(claim, response)
    end(attempt, record) // the work was done: who waited for it gets its answer, whether or not it can be kept
    throw error
  }
}

async function committed ({ store, cache, end, late }: EndDeps, attempt: Attempt, response: StoredResponse | null, isStored: boolean): Promise<void> {
  attempt.closing = true
  const { claim } = attempt
  const record = recordOf(claim, response)
  cache.put(claim.id, record, claim.retention) // what Postgres has decided holds before the store hears of it, and when it never does
  end(attempt, record)
  if (isStored) return
  const unmirrored: Claim = { ...claim, guarantee: 'fast' } // Postgres has it
  await store.complete(unmirrored, response).catch((error: unknown) => {
    late(unmirrored, response)
    throw error
  })
}

async function release ({ store, end, lose }: EndDeps, attempt: Attempt): Promise<boolean> {
  attempt.closing = true
  const released = await store.release(attempt.claim).finally(() => { end(attempt, null) })
  if (!released) lose(attempt)
  return released
}

/** A handler may use its buffer again once the answer is sent; a record in memory must not change then. */
function ownBody ({ body }: StoredResponse): string | Uint8Array {
  return typeof body === 'string' ? body : new Uint8Array(body)
}

function recordOf ({ fingerprint, token }: Claim, response: StoredResponse | null): FinishedRecord {
  return response === null ? { state: 'tombstone', fingerprint, token } : { state: 'completed', fingerprint, token, response }
}
