import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { goneOf } from '../../services/http/gone.js'
import type { Grant } from '../../services/locks/grant.js'
import type { Locks } from '../../services/locks/locks.js'
import { lockDefaults } from '../../services/locks/settings.js'
import { FST_LOCKS_BUSY, FST_LOCKS_TIMEOUT, FST_LOCKS_UNAVAILABLE } from './errors.js'
import { defaults } from './options.js'
import type { LockRouteOptions } from './options.js'
import { kNotRun } from '../not-run.js'
import { kRun } from './types.js'
import type { Run } from './types.js'

export interface LockedHandlerDeps {
  locks: Locks
  config: LockRouteOptions
}

/** What a handler has returned, when it is the reply: a promise that resolves with a reply would wait until that is sent. */
const theReply = Symbol('reply')

/**
 * Runs the handler under the lock of its request, to its very end: a disconnect or a timeout of the answer does not end it. The lock is given back
 * before the answer leaves, so that the client's next request finds it free; under a stream, when that has ended.
 */
export function createLockedHandler (handler: RouteHandlerMethod, { locks, config }: LockedHandlerDeps): RouteHandlerMethod {
  const { key, onBusy = defaults.onBusy, wait = defaults.wait, ttl = lockDefaults.ttl, ...others } = config
  // A client that is gone waits no longer. What runs already goes on.
  return async function (this: FastifyInstance, request, reply) {
    let payload: unknown
    const using: Promise<void> = locks.using(key(request), { ...others, ttl, wait, signal: goneOf(reply.raw)() }, async (grant) => {
      const run = begin(request, grant, using)
      payload = await work(run, reply, ttl, () => handler.call(this, request, reply))
    })
    try {
      await using
    } catch (error) {
      const run = request[kRun]
      if (run === null) {
        request[kNotRun] = true
        throw refusalOf(error, reply, onBusy)
      }
      if (!run.told) throw error
      payload = theReply
    }
    return payload === theReply ? reply : payload
  }
}

function begin (request: FastifyRequest, grant: Grant, using: Promise<void>): Run {
  const end = (failure: unknown): unknown => {
    run.over = true
    return failure
  }
  const run: Run = { grant, sending: false, handled: false, over: false, told: false, answered () {}, given: using.then(() => end(null), end) }
  request[kRun] = run
  return run
}

function refusalOf (error: unknown, reply: FastifyReply, onBusy: number): unknown {
  const isBusy = error instanceof FST_LOCKS_TIMEOUT
  if (isBusy || error instanceof FST_LOCKS_UNAVAILABLE) reply.header('retry-after', 1)
  return isBusy ? Object.assign(new FST_LOCKS_BUSY(), { statusCode: onBusy, cause: error }) : error
}

/** Resolves when the handler and the answer that it sent by itself have ended, with what Fastify has to send. */
async function work (run: Run, reply: FastifyReply, ttl: number, handle: () => unknown): Promise<unknown> {
  const answered = answerOf(run, reply, ttl)
  let payload = await resultOf(run, reply, handle)
  if (isStream(payload)) {
    reply.send(payload)
    payload = theReply
  }
  if (payload === undefined && run.sending) payload = theReply // it has awaited its own answer
  if (reply.sent && reply.raw.closed) run.answered() // hijacked after its client had left
  if (payload === theReply || run.sending) await answered
  return payload
}

/** Resolves when the handler has answered by itself; or, when its response is over without that and nobody can tell whether it ever will, after the ttl. */
function answerOf (run: Run, reply: FastifyReply, ttl: number): Promise<void> {
  return new Promise((resolve) => {
    run.answered = resolve
    reply.raw.once('close', () => {
      if (run.over) return
      if (reply.sent && !isTimedOut(reply.request)) return resolve() // hijacked, or sent to the end
      setTimeout(giveUp, ttl, run, reply).unref()
      hearSend(run, reply)
    })
  })
}

function giveUp (run: Run, reply: FastifyReply): void {
  if (run.handled && !run.over) reply.log.warn({ names: run.grant.names }, 'the handler has not answered and nobody can tell whether it has ended: its lock is given back')
  run.answered()
}

/** Fastify drops what is sent after its own answer, but that tells that the handler has ended. */
function hearSend (run: Run, reply: FastifyReply): void {
  const { send } = reply
  reply.send = (payload) => {
    if (reply.sent) run.answered()
    return send.call(reply, payload)
  }
}

/**
 * What the handler returns. The promise of an async handler that returns the reply would wait until the answer is sent, and tells here that the handler
 * has ended. One that awaits the reply and goes on is told the same at once: it keeps its lock.
 */
async function resultOf (run: Run, reply: FastifyReply, handle: () => unknown): Promise<unknown> {
  Object.defineProperty(reply, 'then', {
    configurable: true,
    value (resolve: (value: typeof theReply) => void) {
      run.sending = true
      resolve(theReply)
    }
  })
  try {
    const result = handle()
    return await Promise.resolve(result === undefined ? theReply : result)
  } finally {
    run.handled = true
    Reflect.deleteProperty(reply, 'then')
  }
}

/** onSend: lets an answer wait until the lock is given back, unless its handler is still running. A success that is known to be none becomes an error. */
export async function releaseFirst (request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<void> {
  const run = request[kRun]
  if (!run || run.over || isTimedOut(request)) return // Fastify answers in time for a handler that goes on
  run.sending = true
  if (isStream(payload)) return sendUnderLock(run, reply)
  run.answered()
  await setImmediate() // an async handler that returns what `reply.send` returned has not ended yet
  if (!run.handled) return failIfLost(run, reply)
  run.told = true
  const failure = await run.given
  if (failure === null) return
  if (reply.statusCode < 400) throw failure
  request.log.error({ err: failure }, 'what ran under the lock has failed, and the answer is another error')
}

function sendUnderLock (run: Run, reply: FastifyReply): void {
  failIfLost(run, reply)
  if (reply.raw.closed) run.answered() // its client left before
  else reply.raw.once('close', run.answered)
}

function failIfLost ({ grant: { signal } }: Run, reply: FastifyReply): void {
  if (signal.aborted && reply.statusCode < 400) throw signal.reason
}

function isTimedOut (request: FastifyRequest): boolean {
  return (request.routeOptions.handlerTimeout ?? 0) > 0 && (request.signal.reason as { code?: unknown } | undefined)?.code === 'FST_ERR_HANDLER_TIMEOUT'
}

function isStream (payload: unknown): boolean {
  if (typeof payload !== 'object' || payload === null) return false
  return ('pipe' in payload && typeof payload.pipe === 'function') || payload instanceof ReadableStream || payload instanceof Response
}
