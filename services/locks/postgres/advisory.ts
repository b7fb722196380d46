import { isTransaction } from '../../database/query.js'
import type { Transaction } from '../../database/query.js'
import { abortSignal, boolean, invalidOption } from '../../options.js'
import type { Rules } from '../../options.js'
import type { LockBackend } from '../backend.js'
import { FST_LOCKS_TIMEOUT, FST_LOCKS_USAGE } from '../errors.js'
import type { Grant } from '../grant.js'
import type { LockService, Routine } from '../locks.js'
import { intervalRule, waitRule } from '../settings.js'
import type { LockOptions } from '../settings.js'
import type { Registry } from './registry.js'
import { attemptIn } from './transaction.js'
import type { TransactionLock } from './transaction.js'

export interface AdvisoryOptions {
  /**
   * How long a busy lock is waited for, ms. 0 asks once.
   * @default 10_000
   */
  timeout?: number
  /**
   * Between two looks at a busy lock at most, ms. The release of a session lock wakes besides.
   * @default 100
   */
  interval?: number
  /** Ends the wait. */
  signal?: AbortSignal
  /**
   * A pg.PoolClient in a transaction, or the client of a Prisma transaction: the lock is that transaction's, and ends with its COMMIT or ROLLBACK.
   * @default none: the lock is of the session that this process keeps for its locks, and no COMMIT or ROLLBACK touches it
   */
  transaction?: Transaction
  /**
   * Draw a token with the lock of a transaction, which must be allowed to write. A session lock always has one.
   * @default false
   */
  fencing?: boolean
}

/** Locks of Postgres by one name each. All of them reject with FST_LOCKS_USAGE for a wrong option or the same name nested. */
export interface AdvisoryLocks {
  /**
   * Runs the routine while nobody else has the name, and gives a session lock back on the connection that took it.
   * @throws what the routine throws; FST_LOCKS_LOST when it ended well and the lock had been lost; FST_LOCKS_TIMEOUT, FST_LOCKS_ABORTED, FST_LOCKS_UNAVAILABLE
   */
  withLock: <T>(name: string, routine: Routine<T>, options?: AdvisoryOptions) => Promise<T>
  /** Null when somebody else has it until the timeout. Whoever gets it has to release it; a transaction's ends with the transaction. */
  tryLock: TryLock
  /** As `withLock`, with the lock of a month, 1 to 12. */
  withMonthLock: <T>(year: number, month: number, routine: Routine<T>, options?: AdvisoryOptions) => Promise<T>
  isMonthLocked: (year: number, month: number) => Promise<boolean>
}

export interface TryLock {
  (name: string, options: AdvisoryOptions & { transaction: Transaction }): Promise<TransactionLock | null>
  (name: string, options?: AdvisoryOptions & { transaction?: undefined }): Promise<Grant | null>
}

export interface AdvisoryLocksDeps {
  /** With a backend `postgres`. */
  locks: Pick<LockService, 'using' | 'acquire'>
  registry: Registry
  namespace: string
}

const rules: Rules<AdvisoryOptions> = {
  timeout: waitRule,
  interval: intervalRule,
  signal: abortSignal,
  transaction: { expected: 'a pg client or a Prisma client in a transaction', accepts: isTransaction },
  fencing: boolean
}

export function createAdvisoryLocks ({ locks, registry, namespace }: AdvisoryLocksDeps): AdvisoryLocks {
  const callOf = (options: AdvisoryOptions): [LockOptions, LockBackend['attempt'] | undefined] => {
    const problem = invalidOption(options, rules)
    if (problem !== null) throw new FST_LOCKS_USAGE(problem)
    const { timeout = 10_000, interval = 100, signal, transaction, fencing = false } = options
    return [{ backend: 'postgres', wait: timeout, interval, signal, fencing }, transaction && attemptIn(transaction, { namespace, fencing })]
  }
  const withLock: AdvisoryLocks['withLock'] = async (name, routine, options = {}) => {
    const [lockOptions, attempt] = callOf(options)
    return await locks.using([name], lockOptions, routine, attempt)
  }
  const tryLock = async (name: string, options: AdvisoryOptions = {}): Promise<Grant | TransactionLock | null> => {
    const [lockOptions, attempt] = callOf(options)
    if (attempt === undefined) return await locks.acquire([name], lockOptions).catch(nullWhenBusy)
    // Nobody gives it back: this process's account of it ends here.
    return await locks.using([name], lockOptions, ({ token }) => ({ name, token }), attempt).catch(nullWhenBusy)
  }
  return {
    withLock,
    tryLock: tryLock as TryLock,
    withMonthLock: async (year, month, routine, options) => await withLock(monthOf(year, month), routine, options),
    isMonthLocked: async (year, month) => await registry.isLocked(monthOf(year, month))
  }
}

function nullWhenBusy (error: unknown): null {
  if (error instanceof FST_LOCKS_TIMEOUT) return null
  throw error
}

function monthOf (year: number, month: number): string {
  const isMonth = Number.isInteger(year) && year >= 0 && year <= 9999 && Number.isInteger(month) && month >= 1 && month <= 12
  if (!isMonth) throw new FST_LOCKS_USAGE(`there is no month ${month} of the year ${year}`)
  return `month:${String(year).padStart(4, '0')}-${String(month).padStart(2, '0')}`
}
