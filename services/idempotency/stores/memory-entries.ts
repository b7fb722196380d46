import type { Claim, StoredRecord, StoredResponse } from '../record.js'

export interface Running {
  state: 'running'
  fingerprint: string
  token: string
  leaseUntil: number
  expiresAt: number
}

export interface Finished {
  state: 'finished'
  fingerprint: string
  token: string
  /** Null: a tombstone. */
  response: StoredResponse | null
  expiresAt: number
}

export type Entry = Running | Finished

export interface Entries {
  read: (id: string) => Entry | undefined
  /** What the attempt has claimed or finished. */
  owned: (claim: Claim) => Entry | undefined
  begin: (claim: Claim) => void
  finish: (claim: Claim, response: StoredResponse | null) => void
  remove: (id: string) => void
  dropExpired: () => void
}

/**
 * Entries that end by themselves. Every write moves its entry to the end of its map, so the oldest stand first: expired and surplus ones are met
 * without a scan. One with a longer retention in front delays that for those behind it, up to the limit of records.
 */
export function createEntries (now: () => number, maxRecords: number): Entries {
  const running = new Map<string, Running>()
  const finished = new Map<string, Finished>()
  const remove = (id: string): void => {
    running.delete(id)
    finished.delete(id)
  }

  const read = (id: string): Entry | undefined => {
    const entry = running.get(id) ?? finished.get(id)
    return entry !== undefined && entry.expiresAt > now() ? entry : undefined
  }

  return {
    read,
    owned ({ id, token }) {
      const entry = read(id)
      return entry?.token === token ? entry : undefined
    },
    begin ({ id, fingerprint, token, lease, retention }) {
      remove(id)
      running.set(id, { state: 'running', fingerprint, token, leaseUntil: now() + lease, expiresAt: now() + retention })
    },
    finish ({ id, fingerprint, token, retention }, response) {
      remove(id)
      finished.set(id, { state: 'finished', fingerprint, token, response, expiresAt: now() + retention })
      for (const oldest of finished.keys()) {
        if (finished.size <= maxRecords) return
        finished.delete(oldest)
      }
    },
    remove,
    dropExpired () {
      dropFirstExpired(running, now())
      dropFirstExpired(finished, now())
    }
  }
}

function dropFirstExpired (entries: Map<string, Entry>, time: number): void {
  for (const [id, { expiresAt }] of entries) {
    if (expiresAt > time) return
    entries.delete(id)
  }
}

/** Whether the claim may have a key that this entry holds. */
export function isFree (entry: Entry, claim: Claim, time: number): boolean {
  if (entry.state === 'finished') return false
  return entry.token === claim.token || (entry.leaseUntil <= time && entry.fingerprint === claim.fingerprint)
}

export function toRecord (entry: Entry, time: number): StoredRecord {
  const { fingerprint, token } = entry
  if (entry.state === 'running') return { state: 'running', fingerprint, token, leaseLeft: Math.max(0, entry.leaseUntil - time) }
  const left = entry.expiresAt - time
  return entry.response === null ? { state: 'tombstone', fingerprint, token, left } : { state: 'completed', fingerprint, token, response: entry.response, left }
}
