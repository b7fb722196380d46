import type { Test } from 'tap'
import pg from 'pg'
import { testDatabase, until } from '../helper.js'
import { ownPostgres, ownRedis } from '../own-servers.js'
import type { OwnServer } from '../own-servers.js'
import { createEffects } from './effects.js'
import type { Effects } from './effects.js'
import { faultProxy } from './fault-proxy.js'
import type { FaultProxy } from './fault-proxy.js'
import { instances } from './instance.js'
import type { Instance } from './instance.js'

export interface SetupOptions {
  /** Options of the plugin. */
  options?: Record<string, unknown>
  /** Options of routes by path. Default: `/work` with none. */
  routes?: Record<string, Record<string, unknown>>
  /** Each process reaches Redis, and Postgres, through a proxy of its own. */
  proxied?: boolean
  /** The records are in a Postgres of the test's own, to be ended; the effects stay in the common one. */
  postgres?: 'own'
  /** How long a process waits for a connection to Postgres, and for one answer, ms. Default: 5,000. */
  postgresTimeout?: number
}

/** Two processes over one Redis and one Postgres. */
export interface Setup {
  one: Instance
  two: Instance
  redis: OwnServer
  /** Null when the records are in the common Postgres. */
  postgres: OwnServer | null
  /** Of `one` and of `two`; empty without `proxied`. */
  proxies: { redis: FaultProxy[], postgres: FaultProxy[] }
  effects: Effects
  /** The database of the records. */
  pool: pg.Pool
}

export async function setUp (t: Test, { options = {}, routes = { '/work': {} }, proxied = false, postgres: kind, postgresTimeout = 5_000 }: SetupOptions = {}): Promise<Setup> {
  const redis = await ownRedis(t)
  const effectsUrl = await testDatabase(t)
  const postgres = kind === 'own' ? await ownPostgres(t) : null
  const postgresUrl = postgres?.url ?? effectsUrl
  const effects = await createEffects(t, effectsUrl)
  const proxies = proxied ? { redis: await twice(() => faultProxy(t, redis.url)), postgres: await twice(() => faultProxy(t, postgresUrl)) } : { redis: [], postgres: [] }
  const [one, two] = await instances(t, 2, (index) => ({
    REDIS_URL: proxies.redis[index]?.url ?? redis.url,
    POSTGRES_URL: proxies.postgres[index]?.url ?? postgresUrl,
    EFFECTS_URL: effectsUrl,
    POSTGRES_TIMEOUT: String(postgresTimeout),
    OPTIONS: JSON.stringify(options),
    ROUTES: JSON.stringify(routes)
  }))
  if (one === undefined || two === undefined) throw new Error('two instances were asked for')
  return { one, two, redis, postgres, proxies, effects, pool: poolOf(t, postgresUrl) }
}

/** Waits until the claim of a running handler, or its record, is in Postgres. Needs a database with this one key. */
export async function inPostgres ({ pool }: Setup, state: 'running' | 'completed', count = 1): Promise<void> {
  await until(`${count} records in Postgres are ${state}`, async () => {
    const { rows } = await pool.query<{ count: number }>('SELECT count(*)::int AS count FROM idempotency_records WHERE state = $1', [state])
    return (rows[0]?.count ?? 0) >= count
  })
}

const twice = <T> (make: () => Promise<T>): Promise<T[]> => Promise.all([make(), make()])

function poolOf (t: Test, connectionString: string): pg.Pool {
  const pool = new pg.Pool({ connectionString, max: 2 })
  pool.on('error', () => {}) // the test ends the server
  pool.on('connect', (client) => client.on('error', () => {}))
  t.teardown(() => pool.end())
  return pool
}
