import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import concurrency from '../../../plugins/concurrency/index.js'
import type { ConcurrencyOptions } from '../../../plugins/concurrency/index.js'

export const named: ConcurrencyOptions = {
  locks: ['database', 'websocket', 'scheduler'],
  semaphores: { database: 2 },
  limiters: { api: { points: 2, duration: 60_000 } },
  breakers: { database: { threshold: 1, halfOpenAfter: 60_000 } }
}

export interface Built {
  app: FastifyInstance
  registry: Registry
}

/** An application with the plugin and the names above. It is closed with the test. */
export async function build (t: Test, options: ConcurrencyOptions = {}): Promise<Built> {
  const [app, registry] = [Fastify(), new Registry()]
  t.teardown(() => app.close())
  await app.register(concurrency, { ...named, metrics: registry, ...options })
  return { app, registry }
}

/** The value of a series, as `/metrics` shows it. */
export async function shown (registry: Registry, series: string): Promise<number | undefined> {
  const line = (await registry.metrics()).split('\n').find((line) => line.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.split(' ')[1])
}
