import type { Claim, StoredResponse } from '../record.js'
import * as sql from './postgres-batch-sql.js'
import type { PostgresStore } from './postgres.js'

export type Query = (text: string, values: unknown[]) => Promise<unknown[]>

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
    finish: (records, origin) => write(query, sql.finish, records.map(toRow), origin === 'redis'),
    hold: (claims) => write(query, sql.hold, claims),
    extend: (claims) => write(query, sql.extend, claims)
  }
}

/** Of rows with the same id the last is written: a statement cannot write a row twice. */
async function write (query: Query, text: string, rows: readonly Row[], ...values: unknown[]): Promise<boolean[]> {
  if (rows.length === 0) return []
  const last = new Map(rows.map((row) => [row.id, row]))
  const written = await query(text, [JSON.stringify([...last.values()]), ...values]) as Array<{ id: string }>
  const ids = new Set(written.map(({ id }) => id))
  return rows.map(({ id, token }) => ids.has(id) && last.get(id)?.token === token)
}

function toRow ({ claim: { id, token, fingerprint, retention }, response, age }: Finished): Row & Record<string, unknown> {
  return { id, token, fingerprint, retention, age, ...(response && { status: response.status, headers: response.headers, body: base64(response.body) }) }
}

/** Not as text: a body may hold U+0000, which no text of Postgres can. */
function base64 (body: string | Uint8Array): string {
  return (typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.byteLength)).toString('base64')
}
