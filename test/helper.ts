import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { Test } from 'tap'
import { execute } from '../services/database/execute.js'

/** What scripts/test.ts prepared for this run. */
export function given (name: string): string {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is not set: run the tests with \`npm test\`, or one file with \`npm test -- test/….test.ts\``)
  return value
}

const unique = (): string => randomBytes(6).toString('hex')

/** A database of the test's own, with all migrations applied. It is dropped when the test passed, and kept as evidence when it failed. */
export async function testDatabase (t: Test, template = given('HOLDFAST_TEST_TEMPLATE')): Promise<string> {
  const name = `test_${unique()}`
  const server = given('HOLDFAST_TEST_DATABASE_URL')
  await execute(server, `CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY FILE_COPY`)
  t.teardown(async () => {
    if (t.passing()) await execute(server, `DROP DATABASE ${name} WITH (FORCE)`)
    else t.comment(`the database ${name} was kept`)
  })
  return Object.assign(new URL(server), { pathname: `/${name}` }).href
}

export async function testPool (t: Test): Promise<pg.Pool> {
  return openPool(t, await testDatabase(t), 20)
}

/** Ended with the test. */
export function openPool (t: Test, connectionString: string, max: number): pg.Pool {
  const pool = new pg.Pool({ connectionString, max })
  // A connection that is still closing when its database is dropped is told so.
  pool.on('error', (error) => { if (!pool.ending) throw error })
  pool.on('connect', (client) => client.on('error', (error) => { if (!pool.ending) throw error }))
  t.teardown(() => pool.end())
  return pool
}

export function redisUrl (): string {
  return given('HOLDFAST_TEST_REDIS_URL')
}

export function testPrefix (): string {
  return `test-${unique()}`
}

export function testRedis (t: Test): Redis {
  const redis = new Redis(redisUrl())
  t.teardown(() => redis.quit())
  return redis
}

/** Calls `probe` until it returns something else than false, null or undefined, and returns that. `what` tells, when it is too late, what was waited for. */
export async function until<T> (what: string | (() => string), probe: () => Promise<T | false | null | undefined> | T | false | null | undefined, deadline = 10_000): Promise<T> {
  const end = performance.now() + deadline
  for (;;) {
    const value = await probe()
    if (value !== false && value !== null && value !== undefined) return value
    if (performance.now() > end) throw new Error(`waited ${deadline} ms for this to happen: ${typeof what === 'string' ? what : what()}`)
    await new Promise((resolve) => setTimeout(resolve, 10)) // between two looks
  }
}

export interface Gate {
  opened: Promise<void>
  open: () => void
}

/** Something that work or a handler waits for. */
export function gate (): Gate {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => { open = resolve })
  return { opened, open }
}
