import { isBegun, isTransaction, queryOf } from '../database/query.js'
import type { Query, Transaction } from '../database/query.js'
import type { Rules } from '../options.js'
import { json } from './payload.js'
import { FST_SCHEDULER_NO_TRANSACTION } from './request-errors.js'
import { checkOptions, findRequested, jsonbOf, idRule } from './requests.js'
import * as sql from './requests-sql.js'

export interface EnqueueRequest {
  /** Of the job. */
  name: string
  payload?: unknown
  /**
   * The run does not begin before.
   * @default at once, after the commit
   */
  dueAt?: Date
  /**
   * However often a job is enqueued with it, it is one run. 1 to 255 characters.
   * @default none: each call is a run
   */
  requestId?: string
}

export interface Enqueued {
  id: string
  /** False: the request id had a run already. */
  isNew: boolean
}

const rules: Rules<Omit<EnqueueRequest, 'name'>> = {
  payload: json,
  dueAt: { expected: 'a valid Date', accepts: (value) => value instanceof Date && !Number.isNaN(value.getTime()) },
  requestId: idRule
}

/** A conflicting row may be gone before it is read. */
const maxTries = 3

/**
 * Writes a run into the caller's transaction: rolled back, it never was; committed, it runs, whatever dies in between. A request id of
 * another transaction is waited for until that has ended; under REPEATABLE READ its COMMIT fails this one, like every conflict.
 * @throws FST_SCHEDULER_NO_TRANSACTION · FST_SCHEDULER_REQUEST_ID_REUSED when the request id belongs to something else · FST_SCHEDULER_OPTION_INVALID for a wrong option ·
 * what the client rejects with: then the transaction can only be rolled back
 */
export async function enqueue (tx: Transaction, { name, ...options }: EnqueueRequest): Promise<Enqueued> {
  checkOptions(options, rules)
  if (!isTransaction(tx) || !isBegun(tx)) throw new FST_SCHEDULER_NO_TRANSACTION()
  const { payload, dueAt = null, requestId = null } = options
  return await addOnce(queryOf(tx), name, [name, jsonbOf(payload), dueAt, requestId], requestId)
}

async function addOnce (query: Query, name: string, values: unknown[], requestId: string | null): Promise<Enqueued> {
  for (let tries = 0; tries < maxTries; tries++) {
    const [added] = await query(sql.enqueue, values) as Array<{ id: string }>
    if (added !== undefined) return { id: added.id, isNew: true }
    const found = requestId === null ? null : await findRequested(query, { kind: 'enqueued', name, owner: '', requestId })
    if (found !== null) return { id: found.id, isNew: false }
  }
  throw new Error(`the run of the request id ${requestId} was deleted ${maxTries} times while it was looked for`)
}
