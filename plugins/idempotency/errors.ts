import createError from '@fastify/error'

/** Errors of the idempotency plugin. Each is explained in docs/problems and in the table of README.md, which a test compares with this list. */
export const FST_IDEMPOTENCY_OPTION_INVALID = createError<[string]>('FST_IDEMPOTENCY_OPTION_INVALID', '%s', 500)
export const FST_IDEMPOTENCY_NOT_WIRED = createError<[string]>('FST_IDEMPOTENCY_NOT_WIRED',
  'the idempotency plugin never saw the route %s: write `await app.register(idempotency, …)` before routes are declared', 500)
export const FST_IDEMPOTENCY_KEY_MISSING = createError('FST_IDEMPOTENCY_KEY_MISSING', 'This operation requires an Idempotency-Key header', 400)
export const FST_IDEMPOTENCY_KEY_INVALID = createError<[string]>('FST_IDEMPOTENCY_KEY_INVALID', 'The Idempotency-Key header is not valid: %s', 400)
export const FST_IDEMPOTENCY_BODY_INVALID = createError<[string]>('FST_IDEMPOTENCY_BODY_INVALID', 'The request cannot be fingerprinted: %s', 400)
export const FST_IDEMPOTENCY_BODY_TOO_LARGE = createError<[string]>('FST_IDEMPOTENCY_BODY_TOO_LARGE',
  'The request has more than %s bytes, too many to fingerprint: send it without an Idempotency-Key, or in smaller parts', 413)
export const FST_IDEMPOTENCY_PRINCIPAL_MISSING = createError('FST_IDEMPOTENCY_PRINCIPAL_MISSING',
  'An Idempotency-Key is only accepted from an authenticated caller', 401)
export const FST_IDEMPOTENCY_IN_FLIGHT = createError('FST_IDEMPOTENCY_IN_FLIGHT',
  'A request with this Idempotency-Key is still being processed: repeat it later', 409)
export const FST_IDEMPOTENCY_RESULT_UNAVAILABLE = createError('FST_IDEMPOTENCY_RESULT_UNAVAILABLE',
  'A request with this Idempotency-Key was started and is not run again, but its response was not kept and cannot be sent', 409)
export const FST_IDEMPOTENCY_KEY_REUSED = createError('FST_IDEMPOTENCY_KEY_REUSED',
  'This Idempotency-Key was used for a different request: choose a new key', 422)
export const FST_IDEMPOTENCY_STORE_UNAVAILABLE = createError('FST_IDEMPOTENCY_STORE_UNAVAILABLE',
  'The request was not processed, because its Idempotency-Key cannot be checked now: repeat it later', 503)
export const FST_IDEMPOTENCY_NOT_COMMITTED = createError('FST_IDEMPOTENCY_NOT_COMMITTED',
  'The work of this request could not be committed, and nothing of it was kept: repeat it later', 503)
export const FST_IDEMPOTENCY_OUTCOME_UNKNOWN = createError('FST_IDEMPOTENCY_OUTCOME_UNKNOWN',
  'It is not known whether the work of this request was committed: repeat it later with the same key, and it is done once', 503)
export const FST_IDEMPOTENCY_TRANSACTION_UNAVAILABLE = createError('FST_IDEMPOTENCY_TRANSACTION_UNAVAILABLE',
  'reply.transaction needs a pg.Pool or a Prisma client in the option `transactions` or `store.postgres`', 500)
export const FST_IDEMPOTENCY_TRANSACTION_REPEATED = createError('FST_IDEMPOTENCY_TRANSACTION_REPEATED',
  'a request has one transaction and one answer: it was begun before, or the request is answered already', 500)
export const FST_IDEMPOTENCY_ANSWER_INVALID = createError<[string]>('FST_IDEMPOTENCY_ANSWER_INVALID',
  'the function of a transaction must answer { status, headers?, body? } with %s', 500)

/** Titles of draft-ietf-httpapi-idempotency-key-header-07 §2.7 where it has one. */
export const titles: Record<string, string> = {
  FST_IDEMPOTENCY_KEY_MISSING: 'Idempotency-Key is missing',
  FST_IDEMPOTENCY_KEY_INVALID: 'Idempotency-Key is invalid',
  FST_IDEMPOTENCY_KEY_REUSED: 'Idempotency-Key is already used',
  FST_IDEMPOTENCY_IN_FLIGHT: 'A request is outstanding for this Idempotency-Key',
  FST_IDEMPOTENCY_RESULT_UNAVAILABLE: 'The result for this Idempotency-Key is unavailable'
}
