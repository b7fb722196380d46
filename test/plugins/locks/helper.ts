import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { Registry } from 'prom-client'
import type { Test } from 'tap'
import locks from '../../../plugins/locks/index.js'
import type { LocksOptions, PostgresLocks } from '../../../plugins/locks/index.js'
import { testPrefix, testRedis, until } from '../../helper.js'

/** An application with locks in the Redis of this run, under a prefix of its own. */
export async function build (t: Test, options: { [K in keyof LocksOptions]?: LocksOptions[K] | undefined } = {}, server: FastifyServerOptions = {}): Promise<FastifyInstance> {
  const app = Fastify(server)
  await app.register(locks, { redis: testRedis(t), prefix: testPrefix(), ...options })
  t.teardown(() => app.close())
  return app
}

/** Until so many calls wait for locks of the registry's applications. */
export async function untilWaiting (registry: Registry, count: number): Promise<void> {
  await until(`${count} wait`, async () => (await registry.metrics()).includes(`lock_waiters{backend="redis"} ${count}\n`))
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

/** A backend that takes its time to give back, and how often it has. */
export function slowToRelease (): { postgres: PostgresLocks, released: () => number } {
  let released = 0
  const hold = {
    validUntil: () => Infinity,
    async release () {
      await sleep(30) // an answer that does not wait is there by then
      released++
      return true
    }
  }
  const backend: PostgresLocks['backend'] = { name: 'postgres', attempt: async () => ({ outcome: 'granted', hold }), close: async () => {} }
  return { postgres: { backend, nextToken: async () => 1n }, released: () => released }
}
