import type { Claim, StoredRecord } from '../record.js'
import type { IdempotencyStore } from '../store.js'
import { untilEnded } from '../wait.js'
import * as sql from './postgres-sql.js'

/** A pg.Pool, or anything with its `query`. */
export interface PgLike {
  query: (text: string, values: unknown[]) => Promise<{ rows: unknown[] }>
}

/** A Prisma client, by the one method that is used. */
export interface PrismaLike {
  $queryRawUnsafe: (query: string, ...values: unknown[]) => Promise<unknown>
}

export interface PostgresStoreOptions {
  /** Stays the caller's to close. */
  postgres: PgLike | PrismaLike
}

export interface PostgresStore extends IdempotencyStore {
  /** How long records will be found here if no more are written, ms. */
  lifetime: () => Promise<number>
}

type Row = { state: 'claimed', recovered: boolean } | {
  state: StoredRecord['state']
  fingerprint: string
  token: string
  lease_left: number
  status: number | null
  headers: Record<string, string | string[]> | null
  body: Uint8Array | null
}

/** A try is repeated only when another claim committed in the middle of it. */
const maxTries = 10

/** One row a key: needs the table idempotency_records. Every step is one statement. */
export function createPostgresStore ({ postgres }: PostgresStoreOptions): PostgresStore {
  const query = queryOf(postgres)
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
    extend: (claims) => Promise.all(claims.map((claim) => changed(sql.extend, claim, claim.lease, claim.retention))),
    complete: (claim, response) => changed(sql.complete, claim, response === null ? 'tombstone' : 'completed', claim.retention,
      response?.status ?? null, response === null ? null : JSON.stringify(response.headers), response === null ? null : Buffer.from(response.body)),
    release: (claim) => changed(sql.release, claim),
    get,
    waitFor: (id, token, signal) => untilEnded({ get }, id, token, signal),
    async lifetime () {
      const [row] = await query(sql.lifetime, []) as Array<{ ms: number | null }>
      return Math.max(0, row?.ms ?? 0)
    }
  }
}

function queryOf (postgres: PgLike | PrismaLike): (text: string, values: unknown[]) => Promise<unknown[]> {
  if ('$queryRawUnsafe' in postgres) return async (text, values) => await postgres.$queryRawUnsafe(text, ...values) as unknown[]
  return async (text, values) => (await postgres.query(text, values)).rows
}

function toRecord ({ state, fingerprint, token, lease_left: leaseLeft, status, headers, body }: Exclude<Row, { state: 'claimed' }>): StoredRecord {
  if (state === 'running') return { state, fingerprint, token, leaseLeft: Math.max(0, leaseLeft) }
  if (state === 'tombstone') return { state, fingerprint, token }
  return { state, fingerprint, token, response: { status: status ?? 200, headers: headers ?? {}, body: body ?? new Uint8Array() } }
}
