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
  if (!run || run.settled || isTimedOut(request)) return
  run.settled = true
  try {
    if (!await record(run, reply, payload)) request.log.warn({ attempt: run.attempt.token }, 'the claim was lost to another attempt: this answer is not kept')
  } catch (err) {
    request.log.error({ err }, 'the answer could not be kept: its claim ends with its lease')
  }
}

/** The net under answers that skip onSend: `reply.hijack()` and `reply.raw.end()`. Their bytes were not seen, but the work was done. */
export async function settleUnseen (request: FastifyRequest, reply: FastifyReply): Promise<void> {
  await settle(request, reply, unseen)
}

const unseen = Symbol('unseen')

async function record ({ attempt, settings }: Run, reply: FastifyReply, payload: unknown): Promise<boolean> {
  const status = payload instanceof Response ? payload.status : payload === unseen ? reply.raw.statusCode : reply.statusCode
  if (!isStored(settings.stored, status)) return await attempt.release()
  const body = bytesOf(payload)
  if (body === null || body.byteLength > settings.maxResponseBytes) return await attempt.bury()
  return await attempt.complete({ status, headers: storedHeaders(reply.getHeaders(), settings.replayHeaders), body })
}

/** Null for what cannot be kept: streams, web Responses, and what was not seen. */
function bytesOf (payload: unknown): Uint8Array | null {
  if (payload === undefined || payload === null) return new Uint8Array()
  if (typeof payload === 'string') return Buffer.from(payload)
  return payload instanceof Uint8Array ? payload : null
}

/** Fastify answers 503 when `handlerTimeout` is over, but the handler runs on: giving the key back would let a second one start beside it. */
function isTimedOut (request: FastifyRequest): boolean {
  if (!request.routeOptions.handlerTimeout) return false
  const reason: unknown = request.signal.aborted ? request.signal.reason : null
  return typeof reason === 'object' && reason !== null && 'code' in reason && reason.code === 'FST_ERR_HANDLER_TIMEOUT'
}
