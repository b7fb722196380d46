import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import type { IdempotencyOptions } from '../../../plugins/idempotency/index.js'
import { build } from './helper.js'

export const broken = async (): Promise<never> => { throw new Error('the store is broken') }

/** Values of a registry by their series, those that are not 0. */
export async function shown (registry: Registry, name: string): Promise<Record<string, number>> {
  const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith(name))
  return Object.fromEntries(lines.map((line) => line.split(' ')).filter(([, value]) => value !== '0').map(([series = '', value]) => [series.slice(name.length), Number(value)]))
}

export const outcomesOf = (registry: Registry): Promise<Record<string, number>> => shown(registry, 'idempotency_requests_total')

/** Duplicates that wait, in all applications of the registry. */
export const waitersOf = async (registry: Registry): Promise<number> => (await shown(registry, 'idempotency_waiters'))[''] ?? 0

export async function measured (t: Test, options: Partial<IdempotencyOptions> = {}, server: FastifyServerOptions = {}): Promise<{ app: FastifyInstance, registry: Registry }> {
  const registry = new Registry()
  return { app: await build(t, { metrics: registry, ...options }, server), registry }
}
