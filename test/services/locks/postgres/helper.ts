import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Pool, PoolClient } from 'pg'
import type { Test } from 'tap'
import { queryOf } from '../../../../services/database/query.js'
import type { Query } from '../../../../services/database/query.js'
import { createAdvisoryLocks } from '../../../../services/locks/postgres/advisory.js'
import type { AdvisoryLocks } from '../../../../services/locks/postgres/advisory.js'
import type { Hold } from '../../../../services/locks/backend.js'
import { createLocks } from '../../../../services/locks/locks.js'
import type { LockService } from '../../../../services/locks/locks.js'
import { noObserver } from '../../../../services/locks/observer.js'
import { connectionOf } from '../../../../services/locks/postgres/connection.js'
import { createSessionBackend } from '../../../../services/locks/postgres/session-backend.js'
import { createRegistry } from '../../../../services/locks/postgres/registry.js'
import type { Registry } from '../../../../services/locks/postgres/registry.js'
import type { SessionBackend, SessionBackendOptions } from '../../../../services/locks/postgres/session-backend.js'
import { createSessionLocks } from '../../../../services/locks/postgres/session-locks.js'
import type { SessionLocks } from '../../../../services/locks/postgres/session-locks.js'
import { openSession } from '../../../../services/locks/postgres/session.js'
import { transactionOf } from '../../../../services/locks/postgres/transaction.js'
import type { Log } from '../../../../services/log.js'
import { silentLog } from '../../../../services/log.js'

export const urlOf = (pool: Pool): string => pool.options.connectionString ?? ''

export function openBackend (t: Test, pool: Pool, options: Partial<SessionBackendOptions> = {}): SessionBackend {
  const backend = createSessionBackend({ connection: connectionOf(pool), log: silentLog, ...options })
  t.teardown(() => backend.close())
  return backend
}

export interface Opened extends AdvisoryLocks, Registry {
  locks: LockService
}

/** As a process has them, on a session of its own. */
export function openLocks (t: Test, pool: Pool, { namespace = 'holdfast', log = silentLog, ...options }: Partial<SessionBackendOptions> = {}): Opened {
  const backend = openBackend(t, pool, { namespace, log, ...options })
  const locks = createLocks({ backends: [backend], nextToken: backend.nextToken, log, observer: noObserver })
  const registry = createRegistry({ query: queryOf(pool), namespace, log })
  return { locks, ...registry, ...createAdvisoryLocks({ locks, registry, namespace }) }
}

/** A session to be spoiled, and its locks. */
export async function openLocksOf (t: Test, pool: Pool, log: Log = silentLog): Promise<SessionLocks> {
  const session = await openSession({ connection: connectionOf(pool), heartbeat: 60_000, timeout: 2_000, log })
  t.teardown(() => session.close())
  return createSessionLocks({ session, namespace: 'holdfast', log })
}

/** One attempt. */
export async function take (backend: SessionBackend, ...names: string[]): Promise<Hold | 'busy'> {
  const attempt = await backend.attempt(names, Infinity)
  if (attempt.outcome === 'unavailable') throw attempt.cause
  return attempt.outcome === 'busy' ? 'busy' : attempt.hold
}

export async function taken (backend: SessionBackend, ...names: string[]): Promise<Hold> {
  const hold = await take(backend, ...names)
  if (hold === 'busy') throw new Error('somebody else has it')
  return hold
}

/** Runs `fn` in a transaction. */
export async function inTransaction<T> (pool: Pool, fn: (query: Query, client: PoolClient) => Promise<T>, begin = 'BEGIN'): Promise<T> {
  const client = await pool.connect()
  try {
    await client.query(begin)
    const value = await fn(transactionOf(client), client)
    await client.query('COMMIT')
    return value
  } finally {
    await client.query('ROLLBACK')
    client.release()
  }
}

/** The sessions of lock connections. */
export async function lockSessions (pool: Pool): Promise<number[]> {
  const { rows } = await pool.query<{ pid: number }>("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'holdfast locks'")
  return rows.map(({ pid }) => pid)
}

/** How many advisory locks there are. */
export async function lockCount (pool: Pool): Promise<number> {
  const { rows } = await pool.query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
  return rows.length
}

/** Another process; its lines as they come. */
export function spawnScript (t: Test, script: string, ...args: string[]): { child: ChildProcess, line: () => Promise<string>, exited: Promise<number | null> } {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const child = spawn(process.execPath, [path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit').then(([code]) => code as number | null)
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return { child, exited, line: async () => String((await lines.next()).value) }
}
