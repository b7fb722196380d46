import { EventEmitter } from 'node:events'
import type { Claim, StoredRecord } from '../record.js'
import type { IdempotencyStore } from '../store.js'
import { untilEnded } from '../wait.js'
import { createEntries, isFree, toRecord } from './memory-entries.js'

export interface MemoryStoreOptions {
  /**
   * Finished records kept at most. The oldest are dropped before their retention ends, and their retries run again. Claims that run are neither
   * counted nor dropped. Default: 100,000.
   */
  maxRecords?: number
  /** A clock in ms that never jumps. Default: `performance.now`. */
  now?: () => number
}

/**
 * For one process: tests, development, and programs that run once. Records are lost with the process.
 *
 * @throws TypeError when `maxRecords` is not a positive integer
 */
export function createMemoryStore ({ maxRecords = 100_000, now = () => performance.now() }: MemoryStoreOptions = {}): IdempotencyStore {
  if (!Number.isInteger(maxRecords) || maxRecords < 1) throw new TypeError(`expected \`maxRecords\` to be a positive integer, got \`${maxRecords}\``)
  const { read, owned, begin, finish, remove, dropExpired } = createEntries(now, maxRecords)
  const changes = new EventEmitter().setMaxListeners(0)
  const isRunning = (claim: Claim): boolean => owned(claim)?.state === 'running'
  const get = async (id: string): Promise<StoredRecord | null> => {
    const entry = read(id)
    return entry === undefined ? null : toRecord(entry, now())
  }

  return {
    async claim (claim) {
      dropExpired()
      const entry = read(claim.id)
      if (entry !== undefined && !isFree(entry, claim, now())) return toRecord(entry, now())
      begin(claim)
      changes.emit(claim.id) // to those who wait for the attempt that was taken over
      return { state: 'claimed', recovered: entry !== undefined && entry.token !== claim.token }
    },
    async extend (claims) {
      const held = claims.map(isRunning)
      claims.forEach((claim, index) => { if (held[index] === true) begin(claim) })
      return held
    },
    async complete (claim, response) {
      if (owned(claim) === undefined) return false
      finish(claim, response)
      changes.emit(claim.id)
      return true
    },
    async release (claim) {
      if (!isRunning(claim)) return false
      remove(claim.id)
      changes.emit(claim.id)
      return true
    },
    get,
    waitFor: (id, token, signal) => untilEnded({ get, subscribe: subscribeTo(changes) }, id, token, signal)
  }
}

function subscribeTo (changes: EventEmitter): (id: string, wake: () => void) => Promise<() => void> {
  return async (id, wake) => {
    changes.on(id, wake)
    return () => { changes.off(id, wake) }
  }
}
