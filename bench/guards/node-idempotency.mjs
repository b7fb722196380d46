import { Idempotency, IdempotencyError, IdempotencyErrorCodes } from '@node-idempotency/core'
import { RedisStorageAdapter } from '@node-idempotency/storage-adapter-redis'

const kFirst = Symbol('first')

const statusOf = {
  [IdempotencyErrorCodes.REQUEST_IN_PROGRESS]: 409,
  [IdempotencyErrorCodes.IDEMPOTENCY_FINGERPRINT_MISSMATCH]: 422
}

/**
 * `@node-idempotency/core` wired as the source of its Fastify plugin does it, with one change in its favour: as its README says, only the
 * first answer is stored, while the plugin stores every replay again.
 */
export async function protect (fastify, { redisUrl, prefix, retention }) {
  const storage = new RedisStorageAdapter({ url: redisUrl })
  await storage.connect()
  const core = new Idempotency(storage, { cacheKeyPrefix: prefix, cacheTTLMS: retention })
  fastify.decorateRequest(kFirst, false)
  fastify.addHook('preHandler', (request, reply) => begin(core, request, reply))
  fastify.addHook('onSend', async (request, reply, payload) => {
    if (request[kFirst]) await core.onResponse(describe(request), answerOf(reply, payload))
  })
  fastify.addHook('onClose', async () => { await storage.disconnect() })
}

async function begin (core, request, reply) {
  try {
    const answer = await core.onRequest(describe(request))
    request[kFirst] = answer === undefined
    return answer === undefined ? undefined : replay(reply, answer)
  } catch (error) {
    if (!(error instanceof IdempotencyError)) throw error
    return reply.code(statusOf[error.code] ?? 400).send(error)
  }
}

function describe ({ headers, body, url, method }) {
  return { headers, body, path: url, method }
}

function answerOf (reply, payload) {
  const { statusCode } = reply
  const additional = { statusCode, 'Content-Type': reply.getHeader('content-type') }
  return { additional, ...(statusCode < 400 ? { body: payload } : { error: payload }) }
}

function replay (reply, { additional, body, error }) {
  reply.code(additional.statusCode).header('content-type', additional['Content-Type']).header('idempotent-replayed', 'true')
  return reply.send(body ?? error)
}
