import createError from '@fastify/error'

/** Errors of locks, thrown by the services and documented as the plugin's. `details` tells which lock, how long it was waited for (ms) and how often it was tried. */
export interface LockDetails {
  names: readonly string[]
  waited: number
  attempts: number
}

/** Somebody else held the lock until the deadline. */
export const FST_LOCKS_TIMEOUT = createError<[string]>('FST_LOCKS_TIMEOUT', 'the lock %s is held by somebody else', 503)
/** The backend could not be had, or no quorum of it. */
export const FST_LOCKS_UNAVAILABLE = createError<[string]>('FST_LOCKS_UNAVAILABLE', 'the lock %s cannot be asked for now', 503)
/** It was held, and then lost: another one may hold it. */
export const FST_LOCKS_LOST = createError<[string]>('FST_LOCKS_LOST', 'the lock %s was lost', 500)
/** The caller's signal, or the stop of the server, ended the wait. */
export const FST_LOCKS_ABORTED = createError<[string]>('FST_LOCKS_ABORTED', 'the wait for the lock %s was ended', 503)
/** A mistake of the program: the same name nested, a session lock behind a transaction pooler, an option that is not valid. */
export const FST_LOCKS_USAGE = createError<[string]>('FST_LOCKS_USAGE', '%s', 500)

/** An error of the catalogue with what is known of the wait, and what caused it. */
export function lockError (Type: typeof FST_LOCKS_TIMEOUT, details: LockDetails, cause?: unknown): Error & LockDetails {
  const error = Object.assign(new Type(details.names.join(', ')), details)
  if (cause !== undefined) error.cause = cause
  return error
}

/** A mistake of the program has the same details, wherever it was found. */
export function withDetails (error: unknown, details: LockDetails): unknown {
  return error instanceof FST_LOCKS_USAGE && !('names' in error) ? Object.assign(error, details) : error
}
