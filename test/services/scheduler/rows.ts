import type pg from 'pg'
import { createClaiming } from '../../../services/scheduler/claiming.js'
import { toDefinition } from '../../../services/scheduler/definition.js'
import type { DefinitionOptions } from '../../../services/scheduler/definition.js'
import { upsert } from '../../../services/scheduler/definitions.js'

/** Adds schedules whose next tick was to come so many ms ago; answers the nominal instants by their names. */
export async function addDue (pool: pg.Pool, schedules: DefinitionOptions[], ago: number): Promise<Map<string, Date>> {
  await upsert(async (text, values) => (await pool.query(text, values)).rows, schedules.map((options) => ({ schedule: toDefinition(options), owner: '', revision: 0 })))
  const { rows } = await pool.query<{ name: string, next_at: Date }>(
    "UPDATE schedules SET next_at = now() - $2 * interval '1 ms' WHERE name = ANY($1) RETURNING name, next_at", [schedules.map(({ name }) => name), ago])
  return new Map(rows.map(({ name, next_at: at }) => [name, at]))
}

export interface Run {
  id: string
  schedule_id: string
  name: string
  state: string
  tick: Date
  due_at: Date
  finished_at: Date | null
  payload: unknown
  cancel_requested: boolean
}

/** Oldest tick first. */
export async function runsOf (pool: pg.Pool, name: string): Promise<Run[]> {
  return (await pool.query<Run>('SELECT * FROM scheduler_runs WHERE name = $1 ORDER BY tick, id', [name])).rows
}

export async function statesOf (pool: pg.Pool, name: string): Promise<string[]> {
  return (await runsOf(pool, name)).map(({ state }) => state)
}

export interface Schedule {
  id: string
  next_at: Date | null
  not_before: Date | null
  seen_at: Date
  updated_at: Date
  revision: string
  cron: string | null
  every_ms: number | null
  jitter_ms: number
  tz_release: string
  payload: unknown
  /** Of the database. */
  now: Date
}

export async function scheduleOf (pool: pg.Pool, name: string, owner = ''): Promise<Schedule> {
  const { rows: [row] } = await pool.query<Schedule>('SELECT *, now() FROM schedules WHERE name = $1 AND owner = $2', [name, owner])
  if (row === undefined) throw new Error(`there is no schedule ${name}`)
  return row
}

export interface Recorded { name: string, state: string, count: number }

/** What a claim of its own tells. */
export function observed (pool: pg.Pool): { claim: (limit: number) => Promise<number>, recorded: Recorded[], unreadable: string[] } {
  const recorded: Recorded[] = []
  const unreadable: string[] = []
  const { claim } = createClaiming({
    pool,
    observer: { recorded: (name, state, count) => { recorded.push({ name, state, count }) }, unreadable: ({ name }) => { unreadable.push(name) } }
  })
  return { claim, recorded, unreadable }
}
