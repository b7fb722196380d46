import type { Query } from '../../database/query.js'
import type { Claim, StoredResponse } from '../record.js'
import * as sql from './postgres-batch-sql.js'
import type { PostgresStore } from './postgres.js'

/** A record whose end is known already. */
export interface Finished {
  claim: Claim
  /** Null: a tombstone. */
  response: StoredResponse | null
  /** How long ago it was finished, ms. */
  age: number
}

interface Row {
  id: string
  token: string
}

export function createBatches (query: Query): Pick<PostgresStore, 'finish' | 'hold' | 'extend'> {
  return {
    finish: (records, origin) => finish(query, records, origin),
    hold: (claims) => write(query, sql.hold, claims),
    extend: (claims) => write(query, sql.extend, claims)
  }
}

/** Of rows with the same id the last is written: a statement cannot write a row twice. */
async function write (query: Query, text: string, rows: readonly Row[]): Promise<boolean[]> {
  if (rows.length === 0) return []
  const last = new Map(rows.map((row) => [row.id, row]))
  const ids = idsOf(await query(text, [JSON.stringify([...last.values()])]))
  return rows.map(({ id, token }) => ids.has(id) && last.get(id)?.token === token)
}

async function finish (query: Query, records: readonly Finished[], origin: 'redis' | 'postgres'): Promise<boolean[]> {
  if (records.length === 0) return []
  const last = new Map(records.map((record) => [record.claim.id, record]))
  const values = [...columnsOf([...last.values()]), origin === 'redis']
  const [answer] = await query(sql.finish, values) as Array<{ written: number }>
  const ids = answer?.written === last.size ? last : idsOf(await query(sql.finishTold, values))
  return records.map(({ claim: { id, token } }) => ids.has(id) && last.get(id)?.claim.token === token)
}

function idsOf (rows: unknown[]): Set<string> {
  return new Set((rows as Array<{ id: string }>).map(({ id }) => id))
}

/** As array literals: nothing in them but the headers needs an escape, and pg would look for one in each element. */
function columnsOf (records: readonly Finished[]): string[] {
  const column = (valueOf: (record: Finished) => string | number): string => `{${records.map(valueOf).join(',')}}`
  return [
    column(({ claim }) => claim.id),
    column(({ claim }) => claim.token),
    column(({ claim }) => claim.fingerprint),
    column(({ claim }) => claim.retention),
    column(({ age }) => age),
    column(({ response }) => response?.status ?? 'NULL'),
    column(({ response }) => response === null ? 'NULL' : JSON.stringify(JSON.stringify(response.headers))), // escapes as an array literal does
    column(({ response }) => response === null ? 'NULL' : base64(response.body))
  ]
}

/** Not as text: a body may hold U+0000, which no text of Postgres can. Quoted, because it may be empty. */
function base64 (body: string | Uint8Array): string {
  const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return `"${bytes.toString('base64')}"`
}
