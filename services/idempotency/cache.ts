import { LRUCache } from 'lru-cache'
import type { StoredRecord } from './record.js'

export type FinishedRecord = Exclude<StoredRecord, { state: 'running' }>

export interface CacheOptions {
  maxRecords: number
  /** Of bodies and headers together. */
  maxBytes: number
}

export interface RecordCache {
  get: (id: string) => FinishedRecord | undefined
  /** @param life ms until the store forgets the record */
  put: (id: string, record: FinishedRecord, life: number) => void
}

/** What a record costs besides its body, bytes: keys and objects. */
const overhead = 512

/**
 * Finished records that were asked for again, and those of transactions. They never change until they expire, so the next replay asks no store. The
 * answers of first requests are not kept: few are ever repeated, and collecting them took a tenth of a first request's processor time.
 */
export function createCache ({ maxRecords, maxBytes }: CacheOptions): RecordCache {
  if (maxRecords === 0 || maxBytes === 0) return { get: () => undefined, put () {} }
  const records = new LRUCache<string, FinishedRecord>({ max: maxRecords, maxSize: maxBytes, sizeCalculation: sizeOf })
  return {
    get: (id) => records.get(id),
    put (id, record, life) {
      if (life >= 1) records.set(id, record, { ttl: life })
    }
  }
}

function sizeOf (record: FinishedRecord): number {
  if (record.state === 'tombstone') return overhead
  let size = overhead + bytesOf(record.response.body)
  for (const [name, value] of Object.entries(record.response.headers)) size += bytesOf(name) + bytesOf(typeof value === 'string' ? value : value.join())
  return size
}

/** A character takes one byte or two; to look which would cost more than to count two. */
function bytesOf (value: string | Uint8Array): number {
  return typeof value === 'string' ? value.length * 2 : value.byteLength
}
