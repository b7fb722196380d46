import { isUtf8 } from 'node:buffer'
import { isSerializationFailure } from '../../database/errors.js'
import { queryOf } from '../../database/query.js'
import type { PgLike, PrismaLike, Query } from '../../database/query.js'
import type { Claim, StoredRecord, StoredResponse } from '../record.js'
import type { IdempotencyStore } from '../store.js'
import { untilEnded } from '../wait.js'
import { createBatches } from './postgres-batch.js'
import type { Finished } from './postgres-batch.js'
import * as sql from './postgres-sql.js'

export type { Finished } from './postgres-batch.js'

export interface PostgresStoreOptions {
  /** Stays the caller's to close. */
  postgres: PgLike | PrismaLike
}

export interface PostgresStore extends IdempotencyStore {
  /**
   * Writes finished records whether or not Postgres has seen their claims, in one statement. False, in the same place, where another attempt
   * finished the key or holds a live lease on it, or where the key belongs to another fingerprint.
   * @param origin `redis` for records that Redis has decided, `postgres` when this write decides
   */
  finish: (records: readonly Finished[], origin: 'redis' | 'postgres') => Promise<boolean[]>
  /** Makes or extends claims that were made elsewhere, in one statement. False, in the same place, where `claim` would not be answered `claimed`. */
  hold: (claims: readonly Claim[]) => Promise<boolean[]>
  /** How long records will be found here if no more are written, ms. `decided`: only those that Postgres decided itself; `all`: the mirrored ones too. */
  lifetime: (what: 'decided' | 'all') => Promise<number>
}

type Row = { state: 'claimed', recovered: boolean } | {
  state: StoredRecord['state']
  fingerprint: string
  token: string
  lease_left: number
  record_left: number
  status: number | null
  headers: Record<string, string | string[]> | null
  body: Uint8Array | null
}

/** A try is repeated only when another claim committed in the middle of it. */
const maxTries = 10

/** A statement that another one was in the way of has done nothing. */
function insisting (query: Query): Query {
  return async (text, values) => {
    for (let tries = 1; ; tries++) {
      try {
        return await query(text, values)
      } catch (error) {
        if (tries === maxTries || !isSerializationFailure(error)) throw error
      }
    }
  }
}

/** One row a key: needs the table idempotency_records. Every step is one statement. */
export function createPostgresStore ({ postgres }: PostgresStoreOptions): PostgresStore {
  const query = insisting(queryOf(postgres))
  const changed = async (text: string, { id, token }: Claim, ...values: unknown[]): Promise<boolean> =>
    (await query(text, [Buffer.from(id, 'hex'), token, ...values])).length === 1
  const get = async (id: string): Promise<StoredRecord | null> => {
    const [row] = await query(sql.get, [Buffer.from(id, 'hex')]) as Row[]
    return row === undefined || row.state === 'claimed' ? null : toRecord(row)
  }

  return {
    async claim ({ id, token, fingerprint, lease, retention }) {
      for (let tries = 0; tries < maxTries; tries++) {
        const [row] = await query(sql.claim, [Buffer.from(id, 'hex'), token, Buffer.from(fingerprint, 'hex'), lease, retention]) as Row[]
        if (row !== undefined) return row.state === 'claimed' ? { state: 'claimed', recovered: row.recovered } : toRecord(row)
      }
      throw new Error(`the claim met a concurrent one ${maxTries} times in a row`)
    },
    ...createBatches(query),
    complete: (claim, response) => changed(sql.complete, claim, stateOf(response), claim.retention, ...columnsOf(response)),
    release: (claim) => changed(sql.release, claim),
    get,
    waitFor: (id, token, signal) => untilEnded({ get }, id, token, signal),
    async lifetime (what) {
      const [row] = await query(sql.lifetime[what], []) as Array<{ ms: number | null }>
      return Math.max(0, row?.ms ?? 0)
    }
  }
}

/**
 * Writes a finished record inside the caller's transaction, whether or not Postgres has seen its claim: one round trip, always the same text.
 * Waits while another transaction that has not ended yet holds the key. False as for `finish`: then the transaction has to be rolled back.
 * @param query of the transaction: a pg.PoolClient's, or a Prisma transaction client's
 */
export async function finishIn (query: Query, { claim: { id, token, fingerprint, retention }, response, age }: Finished): Promise<boolean> {
  const values = [Buffer.from(id, 'hex'), token, Buffer.from(fingerprint, 'hex'), stateOf(response), retention, age, ...columnsOf(response)]
  return (await query(sql.finishIn, values)).length === 1
}

function stateOf (response: StoredResponse | null): 'tombstone' | 'completed' {
  return response === null ? 'tombstone' : 'completed'
}

/** Status, headers, body. */
function columnsOf (response: StoredResponse | null): unknown[] {
  return response === null ? [null, null, null] : [response.status, JSON.stringify(response.headers), Buffer.from(response.body)]
}

function toRecord ({ state, fingerprint, token, lease_left: leaseLeft, record_left: left, status, headers, body }: Exclude<Row, { state: 'claimed' }>): StoredRecord {
  if (state === 'running') return { state, fingerprint, token, leaseLeft: Math.max(0, leaseLeft) }
  if (state === 'tombstone') return { state, fingerprint, token, left }
  return { state, fingerprint, token, left, response: { status: status ?? 200, headers: headers ?? {}, body: textIfPossible(body ?? new Uint8Array()) } }
}

/** Prisma has Uint8Array where pg has Buffer. */
function textIfPossible (bytes: Uint8Array): string | Uint8Array {
  return isUtf8(bytes) ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString() : bytes
}
