import type pg from 'pg'
import type { Test } from 'tap'
import { createPool } from '../../../services/database/pool.js'
import { silentLog } from '../../../services/log.js'
import { ownPostgres } from '../../own-servers.js'
import type { OwnServer } from '../../own-servers.js'
import { redisUrl, testPool, testPrefix, until } from '../../helper.js'
import { createNode } from './scheduling.js'
import type { NodeOptions, SchedulerNode } from './scheduling.js'

export interface RunRow {
  id: string
  state: string
  enqueues: number
  starts: number
  failures: number
  fence: string | null
  error: string | null
  worker: string | null
  progress: number | null
  total: number | null
  /** ms from now on */
  dueIn: number
  /** ms from now on */
  leaseIn: number | null
}

export interface RunInput {
  name?: string
  schedule?: string | null
  state?: string
  payload?: unknown
  /** ms from now on */
  dueIn?: number
  /** ms before now */
  enqueuedAgo?: number
  /** ms from now on */
  leaseIn?: number
  isCancelled?: boolean
}

export interface Setup {
  pool: pg.Pool
  prefix: string
  /** A process's part of the scheduler, ended with the test. Started, unless told otherwise. */
  node: (options: Omit<NodeOptions, 'pool' | 'redisUrl' | 'prefix' | 'name'> & { name?: string, idle?: boolean, redisUrl?: string }) => Promise<SchedulerNode>
}

export async function setUp (t: Test, { redisUrl: url = redisUrl(), pool: own }: { redisUrl?: string, pool?: pg.Pool } = {}): Promise<Setup> {
  const pool = own ?? await testPool(t)
  const prefix = testPrefix()
  let count = 0
  return {
    pool,
    prefix,
    async node ({ idle = false, name = `node-${++count}`, ...options }) {
      const node = await createNode({ pool, redisUrl: url, prefix, name, ...options })
      t.teardown(() => node.stop(1_000))
      if (!idle) node.start()
      return node
    }
  }
}

/** Of a Postgres of the test's own, to be taken away. Its statements wait half a second. */
export async function ownPool (t: Test): Promise<{ server: OwnServer, pool: pg.Pool }> {
  const server = await ownPostgres(t)
  const pool = createPool({ url: server.url, size: 10, connectTimeout: 500, queryTimeout: 500, log: silentLog })
  t.teardown(() => pool.end())
  return { server, pool }
}

export async function insertSchedule (pool: pg.Pool, name = 'job'): Promise<string> {
  const { rows } = await pool.query<{ id: string }>("INSERT INTO schedules (name, cron, hash) VALUES ($1, '* * * * *', 'h') RETURNING id::text", [name])
  return rows[0]?.id ?? ''
}

export async function insertRun (pool: pg.Pool, { name = 'job', schedule = null, state = 'pending', payload = null, dueIn = 0, enqueuedAgo, leaseIn, isCancelled = false }: RunInput = {}): Promise<string> {
  const { rows } = await pool.query<{ id: string }>(`
    INSERT INTO scheduler_runs (name, schedule_id, kind, tick, state, payload, due_at, enqueued_at, lease_until, fence, cancel_requested)
    VALUES ($1, $2, 'enqueued', date_trunc('milliseconds', clock_timestamp()), $3, $4, now() + $5 * interval '1 ms', now() - $6 * interval '1 ms', now() + $7 * interval '1 ms', $8, $9)
    RETURNING id::text`, [name, schedule, state, JSON.stringify(payload), dueIn, enqueuedAgo ?? null, leaseIn ?? null, leaseIn === undefined ? null : 0, isCancelled])
  return rows[0]?.id ?? ''
}

export async function insertRuns (pool: pg.Pool, count: number, name = 'job'): Promise<void> {
  await pool.query('INSERT INTO scheduler_runs (name, kind, tick, state, due_at) SELECT $1, \'enqueued\', now(), \'pending\', now() FROM generate_series(1, $2::int)', [name, count])
}

export async function runOf (pool: pg.Pool, id: string): Promise<RunRow> {
  const { rows: [row] } = await pool.query<RunRow>(`
    SELECT id::text, state, enqueues, starts, failures, fence::text, error, worker, progress, total, extract(epoch FROM due_at - clock_timestamp())::float8 * 1000 AS "dueIn",
      extract(epoch FROM lease_until - clock_timestamp())::float8 * 1000 AS "leaseIn"
    FROM scheduler_runs WHERE id = $1`, [id])
  if (row === undefined) throw new Error(`there is no run ${id}`)
  return row
}

/** Waits until a run is in this state, and returns it. */
export async function reach (pool: pg.Pool, id: string, state: string, deadline?: number): Promise<RunRow> {
  let last: RunRow | undefined
  return await until(() => `the run is ${state}; it is ${JSON.stringify(last)}`, async () => {
    last = await runOf(pool, id)
    return last.state === state ? last : null
  }, deadline)
}

export async function countOf (pool: pg.Pool, state: string): Promise<number> {
  const { rows } = await pool.query<{ count: number }>('SELECT count(*)::int AS count FROM scheduler_runs WHERE state = $1', [state])
  return rows[0]?.count ?? 0
}
