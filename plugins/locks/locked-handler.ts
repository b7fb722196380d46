import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { goneOf } from '../../services/http/gone.js'
import type { Grant } from '../../services/locks/grant.js'
import type { Locks } from '../../services/locks/locks.js'
import { FST_LOCKS_BUSY, FST_LOCKS_TIMEOUT, FST_LOCKS_UNAVAILABLE } from './errors.js'
import { defaults } from './options.js'
import type { LockRouteOptions } from './options.js'
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
  const { key, onBusy = defaults.onBusy, wait = defaults.wait, ...others } = config
  // A client that is gone waits no longer. What runs already goes on.
  return async function (this: FastifyInstance, request, reply) {
    let payload: unknown
    const using: Promise<void> = locks.using(key(request), { ...others, wait, signal: goneOf(reply.raw)() }, async (grant) => {
      const run = begin(request, grant, using)
      payload = await work(run, reply, () => handler.call(this, request, reply))
    })
    try {
      await using
    } catch (error) {
      throw request[kRun] === null ? refusalOf(error, reply, onBusy) : error
    }
    return payload === theReply ? reply : payload
  }
}

function begin (request: FastifyRequest, grant: Grant, using: Promise<void>): Run {
  const end = (): void => { run.over = true }
  const run: Run = { grant, sending: false, handled: false, over: false, answered () {}, given: using.then(end, end) }
  request[kRun] = run
  return run
}

function refusalOf (error: unknown, reply: FastifyReply, onBusy: number): unknown {
  const isBusy = error instanceof FST_LOCKS_TIMEOUT
  if (isBusy || error instanceof FST_LOCKS_UNAVAILABLE) reply.header('retry-after', 1)
  return isBusy ? Object.assign(new FST_LOCKS_BUSY(), { statusCode: onBusy, cause: error }) : error
}

/** Resolves when the handler and the answer that it sent by itself have ended, with what Fastify has to send. */
async function work (run: Run, reply: FastifyReply, handle: () => unknown): Promise<unknown> {
  const answered = new Promise<void>((resolve) => { run.answered = resolve })
  reply.raw.once('close', () => { if (reply.sent && !isTimedOut(reply.request)) run.answered() }) // hijacked, or sent to the end
  const restore = resolveAtOnce(reply)
  const result = handle()
  const isLater = result === undefined || result === reply
  let payload: unknown = await Promise.resolve(isLater ? theReply : result).finally(restore)
  run.handled = true
  if (isStream(payload)) {
    reply.send(payload)
    payload = theReply
  }
  if (payload === undefined && run.sending) payload = theReply // it has awaited its own answer
  if (reply.sent && reply.raw.closed) run.answered() // hijacked after its client had left
  if (payload === theReply || run.sending) await answered
  return payload
}

/**
 * The promise of an async handler that returns the reply would wait until the answer is sent, and tells here that the handler has ended. One that
 * awaits the reply and goes on is told the same at once: it keeps its lock.
 */
function resolveAtOnce (reply: FastifyReply): () => void {
  Object.defineProperty(reply, 'then', { configurable: true, value (resolve: (value: typeof theReply) => void) { resolve(theReply) } })
  return () => { Reflect.deleteProperty(reply, 'then') }
}

/** onSend: lets an answer wait until the lock is given back, unless its handler is still running. */
export async function releaseFirst (request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<void> {
  const run = request[kRun]
  if (!run || run.over) return
  if (isTimedOut(request)) return endWithSend(run, reply)
  run.sending = true
  if (isStream(payload)) {
    if (reply.raw.closed) run.answered() // its client left before
    else reply.raw.once('close', run.answered)
    return
  }
  run.answered()
  await setImmediate() // an async handler that returns what `reply.send` returned has not ended yet
  if (run.handled) await run.given
}

/** Fastify answers for a handler that takes too long, and which goes on. One that answers by itself has ended when it tries to. */
function endWithSend (run: Run, reply: FastifyReply): void {
  Object.defineProperty(reply, 'send', {
    configurable: true,
    value () {
      run.answered()
      return reply
    }
  })
}

function isTimedOut (request: FastifyRequest): boolean {
  return (request.routeOptions.handlerTimeout ?? 0) > 0 && (request.signal.reason as { code?: unknown } | undefined)?.code === 'FST_ERR_HANDLER_TIMEOUT'
}

function isStream (payload: unknown): boolean {
  if (typeof payload !== 'object' || payload === null) return false
  return ('pipe' in payload && typeof payload.pipe === 'function') || payload instanceof ReadableStream || payload instanceof Response
}
