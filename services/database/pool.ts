import pg from 'pg'
import type { Log } from '../log.js'

export interface PoolOptions {
  url: string
  /** Connections at most. */
  size: number
  /** Wait for a connection, ms. */
  connectTimeout?: number
  /** Wait for the answer of one query, ms: a server that stopped answering holds its callers no longer. */
  queryTimeout?: number
  log: Log
}

/** A pool that survives killed backends: without an `error` listener on every client a broken idle connection ends the process. */
export function createPool ({ url, size, connectTimeout = 2_000, queryTimeout = 10_000, log }: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: size,
    connectionTimeoutMillis: connectTimeout,
    query_timeout: queryTimeout,
    application_name: 'holdfast',
    keepAlive: true
  })
  const onError = (err: Error): void => {
    if (!pool.ending) log.warn({ err }, 'a database connection broke')
  }
  // The listener on the client stays for its whole life: between check-out and the first query the pool has none on it.
  pool.on('connect', (client) => { client.on('error', onError) })
  // Prisma gives a connection back even when its ROLLBACK was not answered: what the next one writes would be in that transaction, and lost with it.
  pool.on('release', (_err, client) => {
    if (client.getTransactionStatus() !== 'I') client.end().catch(onError)
  })
  pool.on('error', () => { /* the client's own listener has logged it */ })
  return pool
}
