import type { FastifyReply, FastifyRequest } from 'fastify'
import { signalOf } from '../../services/idempotency/attempt.js'
import { isStored, storedHeaders } from '../../services/idempotency/policy.js'
import { copyStream } from './copy-stream.js'
import { isResponse, toReadable, unwrap } from './streamed.js'
import { kNotRun } from '../not-run.js'
import { kRun } from './types.js'
import type { Run } from './types.js'

type Answer = Pick<FastifyReply, 'statusCode' | 'getHeader'>

/**
 * The onSend hook: finishes the record of an answered request before its last byte leaves, so that a client that has its answer finds it stored when it
 * asks again. With callbacks where there is nothing to wait for; the promise else, because Fastify turns what a payload throws after it into a 500.
 */
export function capture (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: (error: Error | null, payload?: unknown) => void): Promise<unknown> | void {
  const run = request[kRun]
  if (!run || run.settled || isTimedOut(request, reply)) return done(null, payload)
  if (typeof payload === 'object' && payload !== null && !(payload instanceof Uint8Array)) return captureStream(run, request, reply, payload)
  run.settled = true
  return keep(run, request, reply, payload)
}

/** The net, when the connection or the answer is over: `reply.hijack()` and `reply.raw.end()` skip onSend. Their bytes were not seen, but the work was done. */
export function captureUnseen (request: FastifyRequest, reply: FastifyReply): void {
  const run = request[kRun]
  if (!run) return
  run.copy?.destroy() // where a later hook has sent something else
  if (run.settled || !reply.sent || isTimedOut(request, reply)) return
  settle(run, request, reply, unseen)
}

/** Of a handler that ended without a word after its client had gone: an empty answer, which nobody is sent, or one of which the bytes were not seen. */
export function captureUnsaid (request: FastifyRequest, reply: FastifyReply): void {
  const run = request[kRun]
  if (!run || run.settled || isTimedOut(request, reply)) return
  settle(run, request, reply, reply.sent ? unseen : '')
}

function settle (run: Run, request: FastifyRequest, reply: FastifyReply, payload: unknown): void {
  run.settled = true
  keep(run, request, reply, payload).catch((err: unknown) => { request.log.error({ err }, 'the end of an answer could not be recorded') })
}

/** A streamed answer goes on with its copy; one that is not kept, or that ends with its connection, is settled at once. */
async function captureStream (run: Run, request: FastifyRequest, reply: FastifyReply, payload: object): Promise<unknown> {
  const body = isResponse(payload) ? unwrap(reply, payload) : payload
  const source = body === null ? null : toReadable(body)
  if (source === null && body !== null) return body // Fastify refuses it, and its error passes here again
  run.settled = true
  if (source === null || !isCopied(run, reply)) {
    source?.on('error', () => {}) // until Fastify listens
    await keep(run, request, reply, source === null ? null : unseen)
    return source
  }
  const headers = reply.getHeaders()
  const answer: Answer = { statusCode: reply.statusCode, getHeader: (name: string) => headers[name] } // as it is now: later hooks compress
  run.copy = copyStream(source, {
    limit: run.route.settings.maxResponseBytes,
    declared: Number(headers['content-length'] ?? NaN),
    ended: (copy) => keep(run, request, answer, copy ?? unseen),
    signal: () => signalOf(run.attempt)
  })
  return run.copy
}

const unseen = Symbol('unseen')

/** Never throws: the client gets the handler's answer even when no store takes it, and the claim then ends with its lease. */
async function keep (run: Run, request: FastifyRequest, answer: Answer, payload: unknown): Promise<void> {
  try {
    if (!await (request[kNotRun] === true ? run.route.engine.release(run.attempt) : record(run, answer, payload))) request.log.warn({ attempt: run.attempt.claim.token }, 'the claim was lost to another attempt: this answer is not kept')
  } catch (err) {
    request.log.error({ err }, 'the answer could not be kept: its claim ends with its lease')
  }
}

function record ({ attempt, route: { engine, settings } }: Run, answer: Answer, payload: unknown): Promise<boolean> {
  if (!isToStore(attempt, engine, () => isStored(settings.stored, answer.statusCode))) return engine.release(attempt)
  const body = bodyOf(payload)
  if (body === null || Buffer.byteLength(body) > settings.maxResponseBytes) return engine.finish(attempt, null)
  return engine.finish(attempt, { status: answer.statusCode, headers: storedHeaders(answer, settings.replayHeaders), body })
}

/** Where the application's policy throws, the claim is extended no more. */
function isToStore (attempt: Run['attempt'], engine: Run['route']['engine'], policy: () => boolean): boolean {
  try {
    return policy()
  } catch (error) {
    engine.abandon(attempt)
    throw error
  }
}

/** Null for what was not seen. */
function bodyOf (payload: unknown): string | Uint8Array | null {
  if (payload === undefined || payload === null) return ''
  return typeof payload === 'string' || payload instanceof Uint8Array ? payload : null
}

/** Server-sent events end when the client goes, and mean nothing to it afterwards. */
function isCopied ({ route: { settings } }: Run, reply: FastifyReply): boolean {
  if (/^text\/event-stream/i.test(String(reply.getHeader('content-type')))) return false
  try {
    return isStored(settings.stored, reply.statusCode)
  } catch {
    return false // `keep` asks again, and reports it
  }
}

/** Fastify answers 503 when `handlerTimeout` is over, but the handler runs on: giving the key back would let a second one start beside it. */
export function isTimedOut (request: FastifyRequest, { statusCode }: FastifyReply): boolean {
  if (statusCode !== 503 || !request.routeOptions.handlerTimeout) return false
  const reason: unknown = request.signal.aborted ? request.signal.reason : null
  return typeof reason === 'object' && reason !== null && 'code' in reason && reason.code === 'FST_ERR_HANDLER_TIMEOUT'
}
