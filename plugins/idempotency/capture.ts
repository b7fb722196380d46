import type { FastifyReply, FastifyRequest } from 'fastify'
import { isStored, storedHeaders } from '../../services/idempotency/policy.js'
import { kRun } from './types.js'
import type { Run } from './types.js'

/**
 * Finishes the record of an answered request, before its last byte leaves: a client that has its answer finds it stored when it asks again.
 * Never throws: the client gets the handler's answer even when no store takes it, and the claim then ends with its lease.
 */
export async function settle (request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<void> {
  const run = request[kRun]
  if (!run || run.settled || isTimedOut(request, reply)) return
  run.settled = true
  try {
    if (!await record(run, reply, payload)) request.log.warn({ attempt: run.attempt.claim.token }, 'the claim was lost to another attempt: this answer is not kept')
  } catch (err) {
    request.log.error({ err }, 'the answer could not be kept: its claim ends with its lease')
  }
}

/** The net under answers that skip onSend: `reply.hijack()` and `reply.raw.end()`. Their bytes were not seen, but the work was done. */
export async function settleUnseen (request: FastifyRequest, reply: FastifyReply): Promise<void> {
  await settle(request, reply, unseen)
}

const unseen = Symbol('unseen')

function record ({ attempt, route: { engine, settings } }: Run, reply: FastifyReply, payload: unknown): Promise<boolean> {
  const status = payload instanceof Response ? payload.status : payload === unseen ? reply.raw.statusCode : reply.statusCode
  if (!isStored(settings.stored, status)) return engine.release(attempt)
  const body = bodyOf(payload)
  if (body === null || Buffer.byteLength(body) > settings.maxResponseBytes) return engine.finish(attempt, null)
  return engine.finish(attempt, { status, headers: storedHeaders(reply, settings.replayHeaders), body })
}

/** Null for what cannot be kept: streams, web Responses, and what was not seen. */
function bodyOf (payload: unknown): string | Uint8Array | null {
  if (payload === undefined || payload === null) return ''
  return typeof payload === 'string' || payload instanceof Uint8Array ? payload : null
}

/** Fastify answers 503 when `handlerTimeout` is over, but the handler runs on: giving the key back would let a second one start beside it. */
function isTimedOut (request: FastifyRequest, { statusCode }: FastifyReply): boolean {
  if (statusCode !== 503 || !request.routeOptions.handlerTimeout) return false
  const reason: unknown = request.signal.aborted ? request.signal.reason : null
  return typeof reason === 'object' && reason !== null && 'code' in reason && reason.code === 'FST_ERR_HANDLER_TIMEOUT'
}
