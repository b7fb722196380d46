import { queryOf } from '../database/query.js'
import type { PgLike, PrismaLike } from '../database/query.js'
import type { Log } from '../log.js'
import { between, invalidOption, isObject, longestTimer } from '../options.js'
import type { Rules } from '../options.js'
import { pause as pauseFor } from '../pause.js'
import { deleteExpired } from './stores/postgres-sql.js'

export interface CleanupOptions {
  /** A pg.Pool, or a Prisma client, of the database with the table idempotency_records. Stays the caller's to close. */
  postgres: PgLike | PrismaLike
  log: Log
  /**
   * How many records one statement deletes at most.
   * @default 1_000
   */
  batchSize?: number
  /**
   * Between two batches, ms: what else the database has to do comes first.
   * @default 100
   */
  pause?: number
}

export interface Cleanup {
  /**
   * Deletes the expired records of all processes, by the database's clock, until there are none but those that somebody else is just writing or deleting.
   * Several at once share the work.
   * @param signal ends it after the batch in progress, which is committed
   * @param progress called after each batch with how many are deleted so far
   * @returns how many it has deleted
   * @throws what the client throws: earlier batches stay deleted
   */
  run: (signal: AbortSignal, progress?: (deleted: number) => void) => Promise<number>
}

const rules: Rules<CleanupOptions> = {
  postgres: { expected: 'a pg.Pool or a Prisma client', accepts: (value) => isObject(value) && ('query' in value || '$queryRawUnsafe' in value) },
  log: { expected: 'a log', accepts: isObject },
  /** A larger one would keep its locks for seconds. */
  batchSize: between(1, 100_000, 'records'),
  pause: between(0, longestTimer, 'ms')
}

/**
 * Expired records are replaced or not found by themselves; this takes back their room.
 *
 * @throws TypeError that says which option is wrong
 */
export function createCleanup (options: CleanupOptions): Cleanup {
  const problem = invalidOption(options, rules)
  if (problem !== null) throw new TypeError(problem)
  const { postgres, log, batchSize = 1_000, pause = 100 } = options
  const query = queryOf(postgres)
  const deleteBatch = async (): Promise<number> => {
    const [row] = await query(deleteExpired, [batchSize]) as Array<{ deleted: number }>
    return row?.deleted ?? 0
  }
  return {
    async run (signal, progress = () => {}) {
      let deleted = 0
      while (!signal.aborted) {
        const batch = await deleteBatch()
        progress(deleted += batch)
        if (batch < batchSize) break
        await pauseFor(pause, [signal])
      }
      log.info({ deleted, aborted: signal.aborted }, 'expired idempotency records were deleted')
      return deleted
    }
  }
}
