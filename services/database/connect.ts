import pRetry from 'p-retry'
import type { Pool } from 'pg'
import type { Log } from '../log.js'
import { isTransient, permanentReason } from './errors.js'

export interface ConnectOptions {
  /** How long a server that is starting is waited for, ms. */
  deadline: number
  log: Log
  signal?: AbortSignal
}

/**
 * Resolves once Postgres has answered. A transient failure is retried with exponential backoff and jitter until the deadline;
 * a permanent one (wrong password, unknown database) is thrown at once and named.
 */
export async function connect (pool: Pool, { deadline, log, signal }: ConnectOptions): Promise<void> {
  try {
    await pRetry(() => pool.query('SELECT 1'), {
      retries: Number.POSITIVE_INFINITY,
      minTimeout: 100,
      maxTimeout: 2_000,
      factor: 2,
      randomize: true,
      maxRetryTime: deadline,
      signal,
      shouldRetry: ({ error }) => isTransient(error),
      onFailedAttempt: ({ error, attemptNumber }) => {
        if (isTransient(error)) log.warn({ err: error, attempt: attemptNumber }, 'the database does not answer yet')
      }
    })
  } catch (error) {
    signal?.throwIfAborted()
    const reason = permanentReason(error) ?? (isTransient(error) ? `no answer within ${deadline} ms` : messageOf(error))
    throw new Error(`cannot connect to the database: ${reason}`, { cause: error })
  }
}

function messageOf (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
