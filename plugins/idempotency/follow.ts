import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { Decision, Question } from '../../services/idempotency/engine.js'
import type { Layer, Outcome } from '../../services/idempotency/observer.js'
import { secondsOf, sendProblem, sendReplay } from './answers.js'
import * as errors from './errors.js'
import { run } from './run.js'
import type { ProtectedRoute } from './types.js'

/** Does with the request what the engine decided. */
export function follow (decision: Decision, request: FastifyRequest, reply: FastifyReply, route: ProtectedRoute, key: string, layer: Layer, done: () => void): void {
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

export function withoutStore (err: unknown, { id, layer }: Question, request: FastifyRequest, reply: FastifyReply, route: ProtectedRoute, done: () => void): void {
  request.log.error({ err, key: id.slice(0, 8) }, 'no idempotency store can be had')
  if (route.settings.onStoreFailure === 'reject') return refuse(reply, route, layer, 'unavailable', new errors.FST_IDEMPOTENCY_STORE_UNAVAILABLE(), 1)
  bypass(reply, route, layer, done)
}

export function bypass (reply: FastifyReply, { observer }: ProtectedRoute, layer: Layer, done: () => void): void {
  observer.outcome(layer, 'bypassed')
  reply.header('idempotency-status', 'bypassed')
  done()
}

export function refuse (reply: FastifyReply, { observer, docs }: ProtectedRoute, layer: Layer, outcome: Outcome, error: FastifyError, retryAfter?: number): void {
  observer.outcome(layer, outcome)
  sendProblem(reply, error, docs, retryAfter)
}
