import { queryOf } from '../database/query.js'
import type { Query } from '../database/query.js'
import { createCommit } from '../database/transact.js'
import type { PoolLike } from '../database/transact.js'
import { hashOf } from './definition.js'
import type { Definition, ScheduleDefinition } from './definition.js'
import * as sql from './definitions-sql.js'
import { parseExpression } from './expression.js'
import { cancelRest } from './owners-sql.js'
import { jsonbOf } from './requests.js'
import { tzRelease } from './zones.js'

export interface DefinitionsDeps {
  /** Stays the caller's to close; its database has the tables of the scheduler. */
  pool: PoolLike
  /**
   * How long the row of a schedule that nobody declares any more is kept, ms.
   * @default 14 days
   */
  orphanGrace?: number
}

export interface Reconciled {
  /** Names of those that were new or differed. */
  written: string[]
  /** Names of those that nobody has declared for the grace. */
  removed: string[]
  /** By how much the clock of the database is ahead of that of this process, ms. */
  skew: number
}

export interface Definitions {
  /** At boot: makes the rows say what is declared. What is equal already keeps its next tick. In one transaction. */
  reconcile: (definitions: readonly Definition[]) => Promise<Reconciled>
  /** While the process runs: what it declares is no orphan, however long ago it has booted. */
  see: (definitions: readonly Definition[]) => Promise<void>
}

export interface ScheduleRow {
  schedule: ScheduleDefinition
  /** Empty: declared by the application. */
  owner: string
  revision: number
}

/** ms. */
const timeout = 30_000

export function createDefinitions ({ pool, orphanGrace = 14 * 86_400_000 }: DefinitionsDeps): Definitions {
  const commit = createCommit(pool)
  const query = queryOf(pool)
  return {
    async reconcile (definitions) {
      return await commit(async (query) => {
        const written = await upsert(query, definitions.map((schedule) => ({ schedule, owner: '', revision: schedule.revision })))
        await query(sql.see, seen(definitions, ({ startDelay }) => startDelay))
        const removed = await query(sql.removeOrphans, [definitions.map(({ name }) => name), orphanGrace]) as Array<{ name: string, id: string }>
        if (removed.length > 0) await query(cancelRest, [removed.map(({ id }) => id)])
        return { written, removed: removed.map(({ name }) => name), skew: await skewOf(query) }
      }, timeout)
    },
    async see (definitions) {
      await query(sql.see, seen(definitions, () => 0))
    }
  }
}

/** Answers the names of those that were written. */
export async function upsert (query: Query, rows: readonly ScheduleRow[]): Promise<string[]> {
  const [{ now } = { now: 0 }] = await query(sql.clock, []) as Array<{ now: number }>
  const column = <Value>(valueOf: (row: ScheduleRow) => Value): Value[] => rows.map(valueOf)
  const written = await query(sql.upsert, [
    column(({ schedule }) => schedule.name),
    column(({ owner }) => owner),
    column(({ schedule }) => schedule.cron),
    column(({ schedule }) => schedule.every),
    column(({ schedule }) => schedule.timezone),
    column(({ schedule }) => schedule.jitter),
    column(({ schedule }) => schedule.overlap),
    column(({ schedule }) => schedule.catchUp.policy),
    column(({ schedule }) => schedule.catchUp.window),
    column(({ schedule }) => schedule.catchUp.cap),
    column(({ schedule }) => jsonbOf(schedule.payload)),
    column(({ schedule }) => hashOf(schedule)),
    column(({ revision }) => revision),
    column(({ schedule }) => firstTick(schedule, now)),
    tzRelease
  ]) as Array<{ name: string }>
  return written.map(({ name }) => name)
}

async function skewOf (query: Query): Promise<number> {
  const asked = Date.now()
  const [{ now } = { now: asked }] = await query(sql.clock, []) as Array<{ now: number }>
  return now - (asked + Date.now()) / 2
}

/** ms since the epoch. Null: it has no ticks. */
function firstTick ({ cron, every, timezone, startDelay }: ScheduleDefinition, now: number): number | null {
  if (every !== null) return now + startDelay
  return cron === null ? null : parseExpression({ cron, timezone }).next(new Date(now + startDelay))?.getTime() ?? null
}

function seen (definitions: readonly Definition[], delayOf: (definition: Definition) => number): unknown[] {
  return [definitions.map(({ name }) => name), definitions.map(hashOf), definitions.map(({ revision }) => revision), definitions.map(delayOf)]
}
