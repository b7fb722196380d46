import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { Decision, Question } from '../../services/idempotency/engine.js'
import type { Layer, Outcome } from '../../services/idempotency/observer.js'
import { secondsOf } from '../../services/problem.js'
import { sendProblem, sendReplay } from './answers.js'
import * as errors from './errors.js'
import { run } from './run.js'
import type { Hook, ProtectedRoute } from './types.js'

type Done = Parameters<Hook>[2]

/** Does with the request what the engine decided. */
export function follow (decision: Decision, request: FastifyRequest, reply: FastifyReply, route: ProtectedRoute, key: string, layer: Layer, done: Done): void {
  if (reply.sent) return giveUp(decision, request, route)
  try {
    act(decision, request, reply, route, key, layer, done)
  } catch (err) {
    done(err as Error) // a record that another version or a bug has written: we are called by a promise, whose rejection nobody would see
  }
}

function act (decision: Decision, request: FastifyRequest, reply: FastifyReply, route: ProtectedRoute, key: string, layer: Layer, done: Done): void {
  switch (decision.action) {
    case 'run':
      route.observer.outcome(layer, 'executed')
      run(request, reply, decision.attempt, key, route)
      return done()
    case 'replay':
      route.observer.outcome(layer, decision.coalesced ? 'coalesced' : 'replayed')
      return sendReplay(reply, decision.response, decision.coalesced ? 'coalesced' : 'replayed')
    case 'conflict': return refuse(reply, route, layer, 'conflict', new errors.FST_IDEMPOTENCY_IN_FLIGHT(), secondsOf(decision.leaseLeft))
    case 'mismatch': return refuse(reply, route, layer, 'mismatch', new errors.FST_IDEMPOTENCY_KEY_REUSED())
    case 'tombstone': return refuse(reply, route, layer, 'tombstone', new errors.FST_IDEMPOTENCY_RESULT_UNAVAILABLE())
  }
}

/** It was answered while the store was asked, by `handlerTimeout`: Fastify calls no handler any more, so a claim would be held for nothing. */
function giveUp (decision: Decision, request: FastifyRequest, { engine }: ProtectedRoute): void {
  if (decision.action !== 'run') return
  engine.release(decision.attempt).catch((err: unknown) => { request.log.warn({ err }, 'a claim could not be given back: it ends with its lease') })
}

export function withoutStore (err: unknown, { id, layer }: Question, request: FastifyRequest, reply: FastifyReply, route: ProtectedRoute, done: Done): void {
  request.log.error({ err, key: id.slice(0, 8) }, 'no idempotency store can be had')
  if (route.settings.onStoreFailure === 'reject') return refuse(reply, route, layer, 'unavailable', new errors.FST_IDEMPOTENCY_STORE_UNAVAILABLE(), 1)
  bypass(reply, route, layer, done)
}

export function bypass (reply: FastifyReply, { observer }: ProtectedRoute, layer: Layer, done: Done): void {
  observer.outcome(layer, 'bypassed')
  reply.header('idempotency-status', 'bypassed')
  done()
}

export function refuse (reply: FastifyReply, { observer, docs }: ProtectedRoute, layer: Layer, outcome: Outcome, error: FastifyError, retryAfter?: number): void {
  observer.outcome(layer, outcome)
  sendProblem(reply, error, docs, retryAfter)
}
