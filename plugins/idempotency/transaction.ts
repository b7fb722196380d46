import type { FastifyReply, FastifyRequest } from 'fastify'
import { leaseLeft } from '../../services/idempotency/attempt.js'
import type { StoredResponse } from '../../services/idempotency/record.js'
import { isStored } from '../../services/idempotency/policy.js'
import type { Outcome, Transactions, Tx } from '../../services/idempotency/transactions.js'
import { isTransient } from '../../services/database/errors.js'
import { secondsOf } from '../../services/problem.js'
import { sendProblem, sendSerialized } from './answers.js'
import * as errors from './errors.js'
import { follow } from './follow.js'
import type { RouteSettings } from './options.js'
import { toResponse } from './to-response.js'
import type { Serialized, TransactionAnswer } from './to-response.js'
import { kRun, kTransacted } from './types.js'
import type { Run } from './types.js'

export interface TransactionDeps {
  /** Null where no client opens transactions. */
  transactions: Transactions | null
  /** Those of a request that is not protected. */
  settingsOf: (request: FastifyRequest) => RouteSettings
  /** The store has the rows that transactions write. */
  isStored: boolean
}

type Fn = (tx: Tx) => Promise<TransactionAnswer>

/** Runs `fn` in a transaction, with the record of the request when that is protected, and sends what it answers. */
export async function transact (request: FastifyRequest, reply: FastifyReply, fn: Fn, deps: TransactionDeps): Promise<void> {
  if (deps.transactions === null) throw new errors.FST_IDEMPOTENCY_TRANSACTION_UNAVAILABLE()
  const run = request[kRun]
  if (request[kTransacted] === true || run?.settled === true) throw new errors.FST_IDEMPOTENCY_TRANSACTION_REPEATED()
  request[kTransacted] = true
  const settings = run?.route.settings ?? deps.settingsOf(request)
  let answer: Serialized | null = null
  const work = async (tx: Tx) => {
    answer = toResponse(reply, await fn(tx), settings.replayHeaders)
    return { response: keepable(answer, settings), kept: isStored(settings.stored, answer.status) }
  }
  if (run) await deps.transactions.run(run.attempt.claim, work, settings.maxExecution).then((outcome) => end(outcome, answer, run, request, reply, deps))
  else await deps.transactions.plain(work, settings.maxExecution).then(() => sendSerialized(reply, answer))
  await reply // until it is sent: Fastify would take a promise that ends earlier for a handler that answers nothing
}

function keepable ({ status, headers, body }: Serialized, { maxResponseBytes }: RouteSettings): StoredResponse | null {
  return Buffer.byteLength(body) > maxResponseBytes ? null : { status, headers, body }
}

async function end (outcome: Outcome, answer: Serialized | null, run: Run, request: FastifyRequest, reply: FastifyReply, deps: TransactionDeps): Promise<void> {
  const { attempt, route: { engine, settings, docs } } = run
  switch (outcome.state) {
    case 'rolled back': return sendSerialized(reply, answer) // onSend gives the key back
    case 'committed':
      run.settled = true
      if (answer !== null) await tell(request, () => engine.committed(attempt, keepable(answer, settings), deps.isStored))
      return sendSerialized(reply, answer)
    case 'lost': return await lose(outcome.decision, run, request, reply, deps)
    case 'not committed':
      if (!isTransient(outcome.error)) throw outcome.error // such as a deferred constraint
      run.settled = true
      request.log.error({ err: outcome.error }, 'a transaction could not be committed')
      await tell(request, () => engine.release(attempt))
      return sendProblem(reply, new errors.FST_IDEMPOTENCY_NOT_COMMITTED(), docs, 1)
    case 'unknown':
      run.settled = true
      engine.abandon(attempt)
      request.log.error({ err: outcome.error }, 'it is not known whether a transaction was committed: the claim ends with its lease')
      return sendProblem(reply, new errors.FST_IDEMPOTENCY_OUTCOME_UNKNOWN(), docs, secondsOf(leaseLeft(attempt, performance.now())))
  }
}

/** Another attempt was first: this one's work is undone, and its client gets what the other has stored. */
async function lose (decision: Extract<Outcome, { state: 'lost' }>['decision'], run: Run, request: FastifyRequest, reply: FastifyReply, { isStored }: TransactionDeps): Promise<void> {
  const { attempt, route, route: { engine } } = run
  run.settled = true
  await tell(request, async () => {
    if (decision.action === 'replay') await engine.committed(attempt, decision.response, isStored)
    else if (decision.action === 'tombstone') await engine.committed(attempt, null, isStored)
    else await engine.release(attempt)
  })
  request.log.warn({ attempt: attempt.claim.token }, 'another attempt was first: the transaction was rolled back')
  reply.removeHeader('idempotency-status')
  follow(decision, request, reply, route, run.key, attempt.layer, () => {})
}

/** Postgres has decided: a store that cannot be told so changes nothing. */
async function tell (request: FastifyRequest, told: () => Promise<unknown>): Promise<void> {
  try {
    await told()
  } catch (err) {
    request.log.warn({ err }, 'the store could not be told what a transaction has decided')
  }
}
