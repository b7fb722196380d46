import { PrismaPg } from '@prisma/adapter-pg'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import type { Redis } from 'ioredis'
import type { Pool, PoolClient } from 'pg'
import type { Test } from 'tap'
import { PrismaClient } from '../../../prisma/generated/client.js'
import type { Prisma } from '../../../prisma/generated/client.js'
import idempotency from '../../../plugins/idempotency/index.js'
import type { IdempotencyOptions } from '../../../plugins/idempotency/index.js'
import { testPool, testPrefix, testRedis } from '../../helper.js'
import { principal } from './helper.js'

export type Kind = 'pg' | 'Prisma'
export type EitherTx = PoolClient | Prisma.TransactionClient

/** A database with a table for what handlers do, and a key space in Redis. */
export interface World {
  pool: Pool
  redis: Redis
  prefix: string
  effects: () => Promise<string[]>
  records: () => Promise<string[]>
  /** As FLUSHALL does for the others. */
  flush: () => Promise<void>
  /** An instance, whose transactions are opened by a client of that kind, over `pool` unless told otherwise. */
  start: (kind: Kind, options?: Partial<IdempotencyOptions>, pool?: Pool) => Promise<FastifyInstance>
}

export async function world (t: Test): Promise<World> {
  const [pool, redis, prefix] = [await testPool(t), testRedis(t), testPrefix()]
  await pool.query('CREATE TABLE effects (id serial PRIMARY KEY, name text)')
  const column = async (sql: string): Promise<string[]> => (await pool.query<{ value: string }>(sql)).rows.map(({ value }) => value)
  return {
    pool,
    redis,
    prefix,
    effects: () => column('SELECT name AS value FROM effects ORDER BY id'),
    records: () => column('SELECT state AS value FROM idempotency_records'),
    async flush () {
      const keys = await redis.keys(`${prefix}*`)
      if (keys.length > 0) await redis.del(keys)
    },
    async start (kind, options, own = pool) {
      const app = Fastify()
      t.teardown(() => app.close())
      const transactions = kind === 'pg' ? own : new PrismaClient({ adapter: new PrismaPg(own) })
      await app.register(idempotency, { store: { redis, postgres: pool }, transactions, principal, prefix, guarantee: 'transactional', ...options })
      return app
    }
  }
}

export async function insert (tx: EitherTx, name: string): Promise<void> {
  if ('$executeRawUnsafe' in tx) await tx.$executeRawUnsafe('INSERT INTO effects (name) VALUES ($1)', name)
  else await tx.query('INSERT INTO effects (name) VALUES ($1)', [name])
}

/** POST / leaves an effect that is named after the body's `name`, or after the number of the run. */
export function addEffectRoute (app: FastifyInstance, before: (tx: EitherTx) => Promise<void> = async () => {}): { runs: () => number } {
  let runs = 0
  app.post('/', (request, reply) => reply.transaction(async (tx: EitherTx) => {
    const { name = `run ${++runs}` } = (request.body ?? {}) as { name?: string }
    await insert(tx, name)
    await before(tx)
    return { status: 201, headers: { location: `/${encodeURIComponent(name)}` }, body: { name } }
  }))
  return { runs: () => runs }
}
