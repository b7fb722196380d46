import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { Pool } from 'pg'
import type { Registry } from 'prom-client'
import type { Test } from 'tap'
import locks from '../../../plugins/locks/index.js'
import type { LocksOptions } from '../../../plugins/locks/index.js'
import { testPool, testPrefix, testRedis, until } from '../../helper.js'

/** An application with locks in the Redis of this run, under a prefix of its own. */
export async function build (t: Test, options: { [K in keyof LocksOptions]?: LocksOptions[K] | undefined } = {}, server: FastifyServerOptions = {}): Promise<FastifyInstance> {
  const app = Fastify(server)
  await app.register(locks, { redis: testRedis(t), prefix: testPrefix(), ...options })
  t.teardown(() => app.close())
  return app
}

/** Whether the lock `order` is free for a next request. */
export async function isFree (app: FastifyInstance): Promise<boolean> {
  return (await app.locks.tryUsing('order', {}, () => {})).acquired
}

/** Until so many calls wait for locks of the registry's applications. */
export async function untilWaiting (registry: Registry, count: number, backend = 'redis'): Promise<void> {
  await until(`${count} wait`, async () => (await registry.metrics()).includes(`lock_waiters{backend="${backend}"} ${count}\n`))
}

/** A gate that handlers wait at, and how many are inside. */
export function gate () {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => { open = resolve })
  const state = { inside: 0, most: 0, runs: 0 }
  return {
    state,
    open: () => { open() },
    async pass () {
      state.runs++
      state.most = Math.max(state.most, ++state.inside)
      await opened
      state.inside--
    }
  }
}

/** A database where giving a lock back takes its time, and how many are held. */
export async function slowToRelease (t: Test): Promise<{ postgres: Pool, held: () => Promise<number> }> {
  const postgres = await testPool(t)
  await postgres.query("CREATE FUNCTION slow () RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN OLD; END'") // an answer that does not wait is there by then
  await postgres.query('CREATE TRIGGER slow BEFORE DELETE ON held_locks FOR EACH ROW EXECUTE FUNCTION slow()')
  return { postgres, held: async () => (await postgres.query('SELECT FROM held_locks')).rowCount ?? 0 }
}
