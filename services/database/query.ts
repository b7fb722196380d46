/** Runs one statement and returns its rows. */
export type Query = (text: string, values: unknown[]) => Promise<unknown[]>

/** A pg.Pool or client, or anything with its `query`. */
export interface PgLike {
  query: (text: string, values: unknown[]) => Promise<{ rows: unknown[] }>
}

/** A Prisma client, or that of one transaction, by the one method that is used. */
export interface PrismaLike {
  $queryRawUnsafe: (query: string, ...values: unknown[]) => Promise<unknown>
}

/** A pg.Pool by what is used of it, or a Prisma client. */
export type PostgresClient = (PgLike & { options?: object }) | PrismaLike

export function queryOf (postgres: PgLike | PrismaLike): Query {
  if ('$queryRawUnsafe' in postgres) return async (text, values) => await postgres.$queryRawUnsafe(text, ...values) as unknown[]
  return async (text, values) => (await postgres.query(text, values)).rows
}

/** A pg.PoolClient in a transaction. */
export interface PgTransactionLike extends PgLike {
  getTransactionStatus: () => string | null
}

/** A transaction of the caller's. */
export type Transaction = PgTransactionLike | PrismaLike

/** Whether it can be in a transaction, which a pool cannot. */
export function isTransaction (value: unknown): value is Transaction {
  return typeof value === 'object' && value !== null && ('$queryRawUnsafe' in value || ('query' in value && 'getTransactionStatus' in value))
}

/** Whether it is in one now. Inside a transaction Prisma takes these methods away. */
export function isBegun (tx: Transaction): boolean {
  if ('$queryRawUnsafe' in tx) return typeof (tx as { $connect?: unknown }).$connect !== 'function'
  return tx.getTransactionStatus() !== 'I'
}
