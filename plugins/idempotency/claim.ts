import type { FastifyReply, FastifyRequest } from 'fastify'
import canonicalize from 'canonicalize'
import { digest } from '../../services/idempotency/digest.js'
import type { IdempotencyEngine } from '../../services/idempotency/engine.js'
import { fingerprintOf } from '../../services/idempotency/fingerprint.js'
import { headerLines, parseKey } from '../../services/idempotency/key.js'
import { secondsOf, sendProblem, sendReplay } from './answers.js'
import * as errors from './errors.js'
import type { RouteSettings } from './options.js'
import type { Rollout } from './rollout.js'
import { kAsked, kRun } from './types.js'
import type { Asked } from './types.js'

export interface ClaimDeps {
  engine: IdempotencyEngine
  settings: RouteSettings
  docs: string
  isCovered: Rollout
}

/** The preHandler of a protected route: runs last, so that nothing is claimed or replayed before authentication and validation have passed. */
export function createClaimHook (deps: ClaimDeps) {
  const { settings, docs, isCovered } = deps
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    const lines = headerLines(request.raw.rawHeaders, 'idempotency-key')
    if (lines.length === 0 && !settings.required) return undefined
    if (!isCovered(request, settings)) return bypass(reply)
    if (lines.length === 0) return sendProblem(reply, new errors.FST_IDEMPOTENCY_KEY_MISSING(), docs)
    const parsed = parseKey(lines, settings.maxKeyLength)
    if (!parsed.ok) return sendProblem(reply, new errors.FST_IDEMPOTENCY_KEY_INVALID(parsed.reason), docs)
    const scope = scopeOf(request, settings)
    if (scope === null) return sendProblem(reply, new errors.FST_IDEMPOTENCY_PRINCIPAL_MISSING(), docs)
    const { print, params } = request[kAsked] ?? askedFor(request)
    if (!print.ok) return sendProblem(reply, new errors.FST_IDEMPOTENCY_BODY_INVALID(print.reason), docs)
    return await begin(request, reply, deps, parsed.key, recordId(request, [...scope, params], parsed.key), print.fingerprint)
  }
}

async function begin (request: FastifyRequest, reply: FastifyReply, { engine, settings, docs }: ClaimDeps, key: string, id: string, fingerprint: string): Promise<FastifyReply | undefined> {
  const { lease, retention } = settings
  const decision = await engine.begin({ id, fingerprint, lease, retention }).catch((err: unknown) => {
    request.log.error({ err, key: id.slice(0, 8) }, 'no idempotency store can be had')
    return null
  })
  if (decision === null) return withoutStore(reply, settings, docs)
  switch (decision.action) {
    case 'run':
      request.idempotency = { key, layer: 'key', attempt: decision.attempt.token }
      request[kRun] = { attempt: decision.attempt, settings, settled: false }
      reply.header('idempotency-status', 'created')
      return undefined
    case 'replay': return sendReplay(reply, decision.response)
    case 'conflict': return sendProblem(reply, new errors.FST_IDEMPOTENCY_IN_FLIGHT(), docs, secondsOf(decision.leaseLeft))
    case 'mismatch': return sendProblem(reply, new errors.FST_IDEMPOTENCY_KEY_REUSED(), docs)
    case 'tombstone': return sendProblem(reply, new errors.FST_IDEMPOTENCY_RESULT_UNAVAILABLE(), docs)
  }
}

function withoutStore (reply: FastifyReply, { onStoreFailure }: RouteSettings, docs: string): FastifyReply | undefined {
  if (onStoreFailure === 'reject') return sendProblem(reply, new errors.FST_IDEMPOTENCY_STORE_UNAVAILABLE(), docs, 1)
  return bypass(reply)
}

function bypass (reply: FastifyReply): undefined {
  reply.header('idempotency-status', 'bypassed')
}

/** Null when the route needs a principal and the request has none. */
function scopeOf (request: FastifyRequest, { scope, principal }: RouteSettings): string[] | null {
  if (scope === 'public') return ['public']
  if (typeof scope === 'function') return ['custom', scope(request)]
  const subject = principal(request)
  return subject ? ['principal', subject] : null
}

function recordId (request: FastifyRequest, scope: string[], key: string): string {
  return digest('holdfast:record:1', [...scope, request.method, request.routeOptions.url ?? '', key])
}

export function askedFor ({ method, query, body, params, headers, routeOptions }: FastifyRequest): Asked {
  const print = fingerprintOf({ method, route: routeOptions.url ?? '', query, body, contentType: headers['content-type'] })
  return { print, params: canonicalize(params ?? {}) ?? '' }
}
