import { FST_LOCKS_USAGE } from '../errors.js'
import { halvesOf, lockKey } from './key.js'
import type { Query } from './query.js'
import * as sql from './transaction-sql.js'
import { untilHad } from './wait.js'
import type { WaitOptions } from './wait.js'

export interface TransactionLockOptions {
  /** Default: `holdfast`. */
  namespace?: string
  /** Draws a token with the lock; not in a transaction that may only read. Default: false. */
  fencing?: boolean
}

/** Held until the transaction ends, by COMMIT, ROLLBACK or the loss of its connection. */
export interface TransactionLock {
  name: string
  token: bigint | null
}

interface Row {
  stale: boolean
  got: boolean
  token: string | null
}

/**
 * Takes the lock of the name for the rest of the caller's transaction, or says null where somebody else has it: one round trip, and never an error
 * that would abort the transaction. It goes through a pooler in transaction mode.
 * @param query `transactionOf` a pg.PoolClient or a Prisma transaction client: on a connection without a transaction the lock would end with the statement
 * @throws FST_LOCKS_USAGE under REPEATABLE READ, where it would see what was before the lock.
 */
export async function tryInTransaction (query: Query, name: string, { namespace = 'holdfast', fencing = false }: TransactionLockOptions = {}): Promise<TransactionLock | null> {
  const key = lockKey(namespace, name)
  const { high, low } = halvesOf(key)
  const [row] = await query(fencing ? sql.tryFenced : sql.tryLock, [key, high, low, name]) as Row[]
  if (row?.stale === true) throw new FST_LOCKS_USAGE(`under REPEATABLE READ the lock ${name} would not show what its last holder wrote: use READ COMMITTED or SERIALIZABLE`)
  return row?.got === true ? { name, token: row.token === null ? null : BigInt(row.token) } : null
}

/** As tryInTransaction, and looks again until the deadline. @throws FST_LOCKS_TIMEOUT, FST_LOCKS_ABORTED: the transaction stays good. */
export async function withTransactionLock<T> (query: Query, name: string, fn: (lock: TransactionLock) => Promise<T> | T, options: TransactionLockOptions & WaitOptions = {}): Promise<T> {
  return await fn(await untilHad([name], () => tryInTransaction(query, name, options), options))
}
