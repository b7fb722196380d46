import { isNotUnderstood } from './redis-value.js'

/**
 * Whether an error says that Redis cannot be had: no connection, no answer, or an answer such as OOM, READONLY, LOADING. Not when it tells of one key
 * only: a value that is another program's or another version's.
 */
export function isOutage (error: unknown): boolean {
  return !isNotUnderstood(error) && !isWrongType(error)
}

/** The key holds a list, a hash or another type that is not ours. */
export function isWrongType (error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('WRONGTYPE')
}
