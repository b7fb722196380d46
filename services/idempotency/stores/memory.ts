import { EventEmitter } from 'node:events'
import type { Claim, StoredRecord, StoredResponse } from '../record.js'
import type { IdempotencyStore } from '../store.js'
import { untilEnded } from '../wait.js'

export interface MemoryStoreOptions {
  /** A clock in ms that never jumps. Default: `performance.now`. */
  now?: () => number
}

interface Entry {
  record: { state: 'running' | 'tombstone' } | { state: 'completed', response: StoredResponse }
  fingerprint: string
  token: string
  leaseUntil: number
  expiresAt: number
}

/** For one process: tests, development, and programs that run once. Records are lost with the process. */
export function createMemoryStore ({ now = () => performance.now() }: MemoryStoreOptions = {}): IdempotencyStore {
  const endings = new EventEmitter()
  endings.setMaxListeners(0)
  const { read, write, remove, owned, dropExpired } = createEntries(now)
  const begin = ({ id, fingerprint, token, lease, retention }: Claim): void => {
    write(id, { record: { state: 'running' }, fingerprint, token, leaseUntil: now() + lease, expiresAt: now() + retention })
  }
  const get = async (id: string): Promise<StoredRecord | null> => {
    const entry = read(id)
    return entry === undefined ? null : toRecord(entry, now())
  }
  const subscribe = async (id: string, wake: () => void): Promise<() => void> => {
    endings.on(id, wake)
    return () => { endings.off(id, wake) }
  }

  return {
    async claim (claim) {
      dropExpired()
      const entry = read(claim.id)
      if (entry !== undefined && !isFree(entry, claim, now())) return toRecord(entry, now())
      begin(claim)
      return { state: 'claimed', recovered: entry !== undefined && entry.token !== claim.token }
    },
    async extend (claims) {
      return claims.map((claim) => {
        if (owned(claim)?.record.state !== 'running') return false
        begin(claim)
        return true
      })
    },
    async complete (claim, response) {
      const entry = owned(claim)
      if (entry === undefined) return false
      const record = response === null ? { state: 'tombstone' as const } : { state: 'completed' as const, response }
      write(claim.id, { ...entry, record, expiresAt: now() + claim.retention })
      endings.emit(claim.id)
      return true
    },
    async release (claim) {
      const released = owned(claim)?.record.state === 'running' && remove(claim.id)
      if (released) endings.emit(claim.id)
      return released
    },
    get,
    waitFor: (id, token, signal) => untilEnded({ get, subscribe }, id, token, signal)
  }
}

/** Entries that end by themselves. Every write moves its entry to the end, so the oldest stand first and expired ones are met without a scan of all. */
function createEntries (now: () => number) {
  const entries = new Map<string, Entry>()
  const read = (id: string): Entry | undefined => {
    const entry = entries.get(id)
    return entry !== undefined && entry.expiresAt > now() ? entry : undefined
  }
  return {
    read,
    write (id: string, entry: Entry): void {
      entries.delete(id)
      entries.set(id, entry)
    },
    remove: (id: string): boolean => entries.delete(id),
    owned ({ id, token }: Claim): Entry | undefined {
      const entry = read(id)
      return entry?.token === token ? entry : undefined
    },
    dropExpired (): void {
      for (const [id, { expiresAt }] of entries) {
        if (expiresAt > now()) return
        entries.delete(id)
      }
    }
  }
}

function isFree ({ record, token, fingerprint, leaseUntil }: Entry, claim: Claim, time: number): boolean {
  if (record.state !== 'running') return false
  return token === claim.token || (leaseUntil <= time && fingerprint === claim.fingerprint)
}

function toRecord ({ record, fingerprint, token, leaseUntil }: Entry, time: number): StoredRecord {
  if (record.state === 'running') return { state: 'running', fingerprint, token, leaseLeft: Math.max(0, leaseUntil - time) }
  return { ...record, fingerprint, token } as StoredRecord
}
