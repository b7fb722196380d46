import type { PrismaLike } from '../database/query.js'
import type { Decision } from './engine.js'
import type { Claim, StoredRecord, StoredResponse } from './record.js'
import { createPostgresStore, finishIn } from './stores/postgres.js'
import { CommitFailed, createTransact } from '../database/transact.js'
import type { PoolClientLike, TransactionClient } from '../database/transact.js'

export type Tx = PoolClientLike | PrismaLike

export interface Answered {
  /** Null: its bytes cannot be kept, a retry is told so. */
  response: StoredResponse | null
  /** False rolls the work back and keeps nothing. */
  kept: boolean
}

/** What became of the work. */
export type Outcome =
  /** The work and its record. */
  | { state: 'committed' }
  /** As the work asked. */
  | { state: 'rolled back' }
  /** Another attempt has the key: the work was rolled back. What the request is to be answered. */
  | { state: 'lost', decision: Exclude<Decision, { action: 'run' }> }
  /** COMMIT failed, and nothing of the work is there. */
  | { state: 'not committed', error: unknown }
  /** COMMIT failed, and Postgres could not be asked what came of it. */
  | { state: 'unknown', error: unknown }

export interface Transactions {
  /** Runs the work and writes the finished record of its claim in one transaction. Throws what the work throws, once it is rolled back. */
  run: (claim: Claim, work: (tx: Tx) => Promise<Answered>, timeout: number) => Promise<Outcome>
  /** Runs work that no claim protects. False: rolled back, as the work asked. */
  plain: (work: (tx: Tx) => Promise<Answered>, timeout: number) => Promise<boolean>
}

/** @param client stays the caller's to close; its database has the table idempotency_records */
export function createTransactions (client: TransactionClient): Transactions {
  const transact = createTransact(client)
  const records = createPostgresStore({ postgres: client })

  return {
    async run (claim, work, timeout) {
      let lost = false
      try {
        const committed = await transact(async ({ tx, query }) => {
          const { response, kept } = await work(tx)
          lost = kept && !await finishIn(query, { claim, response, age: 0 })
          return kept && !lost
        }, timeout)
        if (committed) return { state: 'committed' }
      } catch (error) {
        if (!(error instanceof CommitFailed)) throw error
        return await outcomeOf(records, claim, error.cause)
      }
      return lost ? { state: 'lost', decision: decide(claim, await records.get(claim.id)) } : { state: 'rolled back' }
    },
    async plain (work, timeout) {
      try {
        return await transact(async ({ tx }) => (await work(tx)).kept, timeout)
      } catch (error) {
        throw error instanceof CommitFailed ? error.cause : error
      }
    }
  }
}

/**
 * What became of a COMMIT that was not answered. To read the record would not do: the server may still be about to commit. A claim of the key waits
 * for the end of that transaction, and once it is granted no record of it can appear any more.
 */
async function outcomeOf (records: ReturnType<typeof createPostgresStore>, claim: Claim, error: unknown): Promise<Outcome> {
  try {
    const found = await records.claim(claim)
    if (found.state === 'claimed') {
      await records.release(claim)
      return { state: 'not committed', error }
    }
    return found.token === claim.token && found.state !== 'running' ? { state: 'committed' } : { state: 'lost', decision: decide(claim, found) }
  } catch (askError) {
    return { state: 'unknown', error: new AggregateError([error, askError], 'a COMMIT was not answered, and what came of it could not be asked') }
  }
}

/** How long a client is told to wait when the record that stood in the way is gone already, ms. */
const shortly = 1_000

function decide ({ fingerprint }: Claim, found: StoredRecord | null): Exclude<Decision, { action: 'run' }> {
  if (found === null) return { action: 'conflict', leaseLeft: shortly }
  if (found.fingerprint !== fingerprint) return { action: 'mismatch' }
  if (found.state === 'running') return { action: 'conflict', leaseLeft: found.leaseLeft }
  return found.state === 'completed' ? { action: 'replay', response: found.response, coalesced: false } : { action: 'tombstone' }
}
