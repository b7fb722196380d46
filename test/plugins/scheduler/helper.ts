import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import type { Pool } from 'pg'
import type { Test } from 'tap'
import scheduler from '../../../plugins/scheduler/index.js'
import type { SchedulerOptions } from '../../../plugins/scheduler/index.js'
import { testPool, testPrefix, testRedis, until } from '../../helper.js'

export interface Cluster {
  postgres: Pool
  /** An application of the cluster, not ready yet. */
  app: (options?: Partial<SchedulerOptions>) => Promise<FastifyInstance>
}

/** Applications over one database and one prefix, which tick ten times a second. */
export async function cluster (t: Test): Promise<Cluster> {
  const [postgres, redis, prefix] = [await testPool(t), testRedis(t), testPrefix()]
  return {
    postgres,
    async app (options = {}) {
      const app = Fastify()
      await app.register(scheduler, { redis, postgres, prefix, tick: 100, ...options })
      t.teardown(() => app.close())
      return app
    }
  }
}

export interface LedgerRow {
  id: string
  state: string
  error: string | null
  payload: unknown
}

/** Of one job, oldest first. */
export async function ledger (postgres: Pool, name: string): Promise<LedgerRow[]> {
  const { rows } = await postgres.query<LedgerRow>('SELECT id::text, state, error, payload FROM scheduler_runs WHERE name = $1 ORDER BY id', [name])
  return rows
}

/** Waits until the newest run of a job is in this state, and returns it. */
export async function untilRun (postgres: Pool, name: string, state: string): Promise<LedgerRow> {
  let last: LedgerRow | undefined
  return await until(() => `the last run of ${name} is ${state}; it is ${JSON.stringify(last)}`, async () => {
    last = (await ledger(postgres, name)).at(-1)
    return last?.state === state && last
  })
}
