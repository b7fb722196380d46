import type { FastifyReply, FastifyRequest } from 'fastify'
import { signalOf } from '../../services/idempotency/attempt.js'
import type { Attempt } from '../../services/idempotency/attempt.js'
import { digest } from '../../services/idempotency/digest.js'
import { captureUnseen } from './capture.js'
import { kRun } from './types.js'
import type { ProtectedRoute, RequestIdempotency, Run } from './types.js'

/** Lets the handler run under its claim. */
export function run (request: FastifyRequest, reply: FastifyReply, attempt: Attempt, key: string, route: ProtectedRoute): void {
  request[kRun] = { attempt, route, key, reply, own: null, settled: false, copy: null }
  reply.raw.on('close', () => { captureUnseen(request, reply) }) // onResponse never comes when the client has gone
  reply.header('idempotency-status', 'created')
}

/** Made when asked for: most handlers never ask. With a `get signal ()` in the object, V8 took 17 µs to make it. */
export function idempotencyOf (request: FastifyRequest): RequestIdempotency | null {
  const run = request[kRun]
  if (!run) return null
  run.own ??= toRequestIdempotency(run)
  return run.own
}

function toRequestIdempotency ({ attempt, key, reply }: Run): RequestIdempotency {
  return {
    key,
    layer: attempt.layer,
    attempt: attempt.claim.token,
    signal: signalOf(attempt),
    transaction: (fn) => reply.transaction(fn),
    downstreamKey: (name) => digest('holdfast:downstream:1', [attempt.claim.id, name])
  }
}
