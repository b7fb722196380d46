import type { Pool, PoolClient } from 'pg'
import type { Test } from 'tap'

export interface ScheduleInput {
  name?: string
  owner?: string
  every?: number | null
  overlap?: string
  payload?: unknown
  /** s from now on; null: none */
  nextIn?: number | null
}

/** A transaction, for the test to end. */
export async function begin (t: Test, pool: Pool): Promise<PoolClient> {
  const client = await pool.connect()
  t.teardown(async () => {
    await client.query('ROLLBACK')
    client.release()
  })
  await client.query('BEGIN')
  return client
}

/** Whether one statement waits for the end of another's transaction. */
export async function isOneWaiting (pool: Pool): Promise<boolean> {
  return (await pool.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'")).rows.length === 1
}

/** Adds a schedule. */
export async function addSchedule (pool: Pool, { name = 'report', owner = '', every = 60_000, overlap = 'skip', payload = null, nextIn = 30 }: ScheduleInput = {}): Promise<string> {
  const { rows: [row] } = await pool.query<{ id: string }>(`INSERT INTO schedules (name, owner, every_ms, overlap, payload, hash, next_at)
    VALUES ($1, $2, $3, $4, $5, 'h', now() + $6 * interval '1 s') RETURNING id::text`, [name, owner, every, overlap, payload === null ? null : JSON.stringify(payload), nextIn])
  if (row === undefined) throw new Error('nothing was inserted')
  return row.id
}

/** Adds a run of a schedule to the ledger. */
export async function addRun (pool: Pool, schedule: string, state: string): Promise<string> {
  const { rows: [row] } = await pool.query<{ id: string }>(`INSERT INTO scheduler_runs (schedule_id, name, owner, kind, tick, state, due_at)
    SELECT id, name, owner, 'manual', now(), $2, now() FROM schedules WHERE id = $1 RETURNING id::text`, [schedule, state])
  if (row === undefined) throw new Error('nothing was inserted')
  return row.id
}

export async function runRow (pool: Pool, id: string): Promise<Record<string, unknown> | undefined> {
  return (await pool.query<Record<string, unknown>>('SELECT *, schedule_id::text AS schedule FROM scheduler_runs WHERE id = $1', [id])).rows[0]
}

export async function scheduleRow (pool: Pool, id: string): Promise<Record<string, unknown> | undefined> {
  return (await pool.query<Record<string, unknown>>('SELECT * FROM schedules WHERE id = $1', [id])).rows[0]
}
