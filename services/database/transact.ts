import type { PgLike, PrismaLike, Query } from './query.js'

/** A connection of a pool: pg.PoolClient. */
export interface PoolClientLike {
  query: (text: string, values?: unknown[]) => Promise<{ rows: unknown[], command?: string }>
  release: (error?: Error | boolean) => void
  on: (event: 'error', listener: (error: Error) => void) => unknown
  removeListener: (event: 'error', listener: (error: Error) => void) => unknown
}

/** pg.Pool, as far as transactions need it. */
export interface PoolLike extends PgLike {
  connect: () => Promise<PoolClientLike>
}

/** A Prisma client that opens interactive transactions. */
export interface PrismaTransactionsLike extends PrismaLike {
  $transaction: <T>(work: (tx: PrismaLike) => Promise<T>, options?: { maxWait?: number, timeout?: number }) => Promise<T>
}

export type TransactionClient = PoolLike | PrismaTransactionsLike

export interface Work<Tx> {
  /** What the application's function gets: a connection of the pool, or Prisma's transaction client. */
  tx: Tx
  query: Query
}

/**
 * Runs `work` in a transaction and commits it when that answers true; rolls it back when it answers false or throws. Answers what `work` answered.
 * @param timeout ms, after which the transaction is rolled back whatever its work does
 * @throws CommitFailed, when COMMIT was not answered with success: then it may or may not have happened; and what `work` throws
 */
export type Transact = (work: (work: Work<PoolClientLike | PrismaLike>) => Promise<boolean>, timeout: number) => Promise<boolean>

export class CommitFailed extends Error {
  constructor (cause: unknown) {
    super('it is not known whether a transaction was committed', { cause })
  }
}

/** Whether the client can open transactions, which a mere `query` cannot. */
export function canTransact (client: object): client is TransactionClient {
  return 'connect' in client || ('$transaction' in client && '$queryRawUnsafe' in client)
}

export function createTransact (client: TransactionClient): Transact {
  return '$transaction' in client ? viaPrisma(client) : viaPool(client, 'BEGIN')
}

/** Resolves with what `work` returned, once that is committed; rolls back and rejects where it throws. @throws as a Transact does */
export type Commit = <T>(work: (query: Query) => Promise<T>, timeout: number) => Promise<T>

/** For transactions that are committed unless something fails. What they find behind a lock is as it is then, whatever the level of the server's transactions is by default. */
export function createCommit (pool: PoolLike): Commit {
  const transact = viaPool(pool, 'BEGIN ISOLATION LEVEL READ COMMITTED')
  return async <T>(work: (query: Query) => Promise<T>, timeout: number) => {
    let value: T | undefined
    await transact(async ({ query }) => {
      value = await work(query)
      return true
    }, timeout)
    return value as T
  }
}

/** Longer than a pool waits for a connection, ms: the pool's own error says more than Prisma's. */
const maxWait = 10_000

function viaPrisma (prisma: PrismaTransactionsLike): Transact {
  return async (work, timeout) => {
    const undone = new Error('the transaction is rolled back') // Prisma rolls back by a throw alone
    let ready = false
    try {
      return await prisma.$transaction(async (tx) => {
        const query: Query = async (text, values) => await tx.$queryRawUnsafe(text, ...values) as unknown[]
        if (!await work({ tx, query })) throw undone
        ready = true
        return true
      }, { maxWait, timeout })
    } catch (error) {
      if (error === undone) return false
      throw ready ? new CommitFailed(error) : error
    }
  }
}

function viaPool (pool: PoolLike, begin: string): Transact {
  return async (work, timeout) => {
    const { client, release } = checkedOut(await pool.connect(), timeout)
    const query: Query = async (text, values) => (await client.query(text, values)).rows
    const rollBack = async (): Promise<void> => { await client.query('ROLLBACK').then(() => release(), release) }
    let ready = false
    try {
      await client.query(begin)
      ready = await work({ tx: client, query })
    } finally {
      if (!ready) await rollBack()
    }
    if (ready) await commit(client, release)
    return ready
  }
}

async function commit (client: PoolClientLike, release: Release): Promise<void> {
  try {
    const { command } = await client.query('COMMIT')
    // What Postgres answers to the COMMIT of a transaction in which a statement has failed: https://www.postgresql.org/docs/current/sql-commit.html
    if (command === 'ROLLBACK') throw new Error('a statement of the transaction had failed: Postgres rolled it back')
    release()
  } catch (error) {
    release(error)
    throw new CommitFailed(error)
  }
}

type Release = (error?: unknown) => void

/** Sees to it that the connection is given back once, and closed instead when its state is not known. */
function checkedOut (client: PoolClientLike, timeout: number): { client: PoolClientLike, release: Release } {
  let isOut = true
  const ignore = (): void => {} // a backend that is killed between two statements ends the process otherwise; the next statement fails anyway
  const release: Release = (error) => {
    if (!isOut) return
    isOut = false
    clearTimeout(timer)
    client.removeListener('error', ignore)
    client.release(error !== undefined)
  }
  const timer = setTimeout(() => { release(new Error(`the transaction was open for more than ${timeout} ms`)) }, timeout).unref()
  client.on('error', ignore)
  return { client, release }
}
