import type { FastifyReply, FastifyRequest } from 'fastify'
import { signalOf } from '../../services/idempotency/attempt.js'
import type { Attempt } from '../../services/idempotency/attempt.js'
import { digest } from '../../services/idempotency/digest.js'
import { captureUnseen } from './capture.js'
import { kRun } from './types.js'
import type { ProtectedRoute, RequestIdempotency } from './types.js'

/** Lets the handler run under its claim. */
export function run (request: FastifyRequest, reply: FastifyReply, attempt: Attempt, key: string, route: ProtectedRoute): void {
  request.idempotency = toRequestIdempotency(attempt, key, reply)
  request[kRun] = { attempt, route, settled: false, copy: null }
  reply.raw.on('close', () => { captureUnseen(request, reply) }) // onResponse never comes when the client has gone
  reply.header('idempotency-status', 'created')
}

function toRequestIdempotency (attempt: Attempt, key: string, reply: FastifyReply): RequestIdempotency {
  return {
    key,
    layer: attempt.layer,
    attempt: attempt.claim.token,
    get signal () { return signalOf(attempt) },
    transaction: (fn) => reply.transaction(fn),
    downstreamKey: (name) => digest('holdfast:downstream:1', [attempt.claim.id, name])
  }
}
