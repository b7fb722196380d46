import createError from '@fastify/error'

/** Errors of the primitives, thrown by the services and documented as the plugin's. No message names a key, which may be personal: some are answered. */
export const FST_CONCURRENCY_TIMEOUT = createError<[string, number]>('FST_CONCURRENCY_TIMEOUT', 'There was no turn at %s within %s ms: repeat it later', 503)
export const FST_CONCURRENCY_ABORTED = createError<[string]>('FST_CONCURRENCY_ABORTED', 'The wait for %s was ended by its signal', 503)
export const FST_CONCURRENCY_CLOSED = createError<[string]>('FST_CONCURRENCY_CLOSED', 'The server is stopping and begins nothing new at %s: repeat it later', 503)
export const FST_CONCURRENCY_OVERDUE = createError<[string, number]>('FST_CONCURRENCY_OVERDUE', 'The work at %s takes longer than %s ms: repeat it later', 503)
export const FST_CONCURRENCY_CIRCUIT_OPEN = createError<[string]>('FST_CONCURRENCY_CIRCUIT_OPEN', 'What %s leads to has failed too often and is not called now: repeat it later', 503)
export const FST_CONCURRENCY_RATE_LIMITED = createError<[string]>('FST_CONCURRENCY_RATE_LIMITED', 'Too much was asked of %s: repeat it later', 429)
export const FST_CONCURRENCY_LIMITER_UNAVAILABLE = createError<[string]>('FST_CONCURRENCY_LIMITER_UNAVAILABLE', 'The %s cannot be asked now: repeat it later', 503)
export const FST_CONCURRENCY_OPTION_INVALID = createError<[string]>('FST_CONCURRENCY_OPTION_INVALID', '%s', 500)
export const FST_CONCURRENCY_UNKNOWN_NAME = createError<[string, string, string]>('FST_CONCURRENCY_UNKNOWN_NAME', 'there is no %s `%s`, expected one of %s', 500)

/** What a caller learns whose signal has aborted. */
export function abortedError (name: string, { reason }: AbortSignal): Error {
  return Object.assign(new FST_CONCURRENCY_ABORTED(name), { cause: reason as unknown })
}
