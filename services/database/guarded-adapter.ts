import type { IsolationLevel, SqlDriverAdapter, SqlDriverAdapterFactory, Transaction } from '@prisma/driver-adapter-utils'

/** Runs the work in its turn, or refuses it. */
export type Guard = <T>(work: () => Promise<T>) => Promise<T>

/**
 * An adapter all of whose use of the pool goes through the guard: a statement is one turn, and so is a transaction with all of its statements, which
 * must not wait for another turn while it holds a connection. Whatever way Prisma was called, it comes by here.
 */
export function guardAdapter (factory: SqlDriverAdapterFactory, guard: Guard): SqlDriverAdapterFactory {
  const { provider, adapterName } = factory
  return { provider, adapterName, connect: async () => guarded(await factory.connect(), guard) }
}

function guarded (adapter: SqlDriverAdapter, guard: Guard): SqlDriverAdapter {
  return {
    provider: adapter.provider,
    adapterName: adapter.adapterName,
    queryRaw: (query) => guard(() => adapter.queryRaw(query)),
    executeRaw: (query) => guard(() => adapter.executeRaw(query)),
    executeScript: (script) => guard(() => adapter.executeScript(script)),
    startTransaction: (level) => startTransaction(adapter, guard, level),
    getConnectionInfo: () => adapter.getConnectionInfo?.() ?? { supportsRelationJoins: false },
    dispose: () => adapter.dispose()
  }
}

/** Its turn lasts until COMMIT or ROLLBACK has ended, and fails with the last statement that failed. */
function startTransaction (adapter: SqlDriverAdapter, guard: Guard, level: IsolationLevel | undefined): Promise<Transaction> {
  return new Promise((resolve, reject) => {
    guard(async () => {
      const transaction = await adapter.startTransaction(level)
      await new Promise<void>((_resolve, _reject) => { resolve(watched(transaction, _resolve, _reject)) })
    }).catch(reject) // once it has begun, its own methods have told the caller
  })
}

function watched (transaction: Transaction, end: () => void, fail: (error: unknown) => void): Transaction {
  let over = end
  const note = (error: unknown): never => {
    over = () => { fail(error) }
    throw error
  }
  // Savepoints are made by its own methods, which call these.
  const methods: Partial<Transaction> = {
    queryRaw: (query) => transaction.queryRaw(query).catch(note),
    executeRaw: (query) => transaction.executeRaw(query).catch(note),
    commit: () => transaction.commit().catch(note).finally(() => { over() }),
    rollback: () => transaction.rollback().catch(note).finally(() => { over() })
  }
  return Object.assign(Object.create(transaction) as Transaction, methods)
}
