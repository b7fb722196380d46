import { isBegun, queryOf } from '../../database/query.js'
import type { Query, Transaction } from '../../database/query.js'
import type { LockBackend } from '../backend.js'
import { FST_LOCKS_USAGE } from '../errors.js'
import { lockKey } from './key.js'
import * as sql from './transaction-sql.js'

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

/** The statements of one transaction. @throws FST_LOCKS_USAGE, each time, when none was begun: a lock would end with its statement. */
export function transactionOf (tx: Transaction): Query {
  const query = queryOf(tx)
  return async (text, values) => {
    if (!isBegun(tx)) throw new FST_LOCKS_USAGE('a lock of a transaction ends with it, and here none was begun')
    return await query(text, values)
  }
}

/**
 * Takes the lock of the name for the rest of the caller's transaction, or says null where somebody else has it: one round trip, and never an error
 * that would abort the transaction. It goes through a pooler in transaction mode.
 * @param query `transactionOf` a pg.PoolClient or a Prisma transaction client: on a connection without a transaction the lock would end with the statement
 * @throws FST_LOCKS_USAGE under REPEATABLE READ, where it would see what was before the lock.
 */
export async function tryInTransaction (query: Query, name: string, { namespace = 'holdfast', fencing = false }: TransactionLockOptions = {}): Promise<TransactionLock | null> {
  const [row] = await query(fencing ? sql.tryFenced : sql.tryLock, [lockKey(namespace, name), name]) as Row[]
  if (row?.stale === true) throw new FST_LOCKS_USAGE(`under REPEATABLE READ the lock ${name} would not show what its last holder wrote: use READ COMMITTED or SERIALIZABLE`)
  return row?.got === true ? { name, token: row.token === null ? null : BigInt(row.token) } : null
}

/**
 * Asks for the lock in the caller's transaction, to be waited for like all others. Nothing gives it back but the end of the transaction. A statement that
 * fails is not repeated: the transaction is lost with it.
 */
export function attemptIn (transaction: Transaction, options: TransactionLockOptions): LockBackend['attempt'] {
  const query = transactionOf(transaction)
  return async ([name = '']) => {
    const lock = await tryInTransaction(query, name, options)
    if (lock === null) {
      await query(sql.letGo, [])
      return { outcome: 'busy' }
    }
    return { outcome: 'granted', hold: { validUntil: () => Infinity, release: async () => true, ...(lock.token === null ? {} : { token: lock.token }) } }
  }
}
