import createError from '@fastify/error'

/** Errors of the locks plugin. Each is explained in the table of README.md, those that are answered in docs/problems; tests compare them with this list. */
export { FST_LOCKS_ABORTED, FST_LOCKS_LOST, FST_LOCKS_TIMEOUT, FST_LOCKS_UNAVAILABLE, FST_LOCKS_USAGE } from '../../services/locks/errors.js'
export type { LockDetails } from '../../services/locks/errors.js'

export const FST_LOCKS_OPTION_INVALID = createError<[string]>('FST_LOCKS_OPTION_INVALID', '%s', 500)
export const FST_LOCKS_NOT_WIRED = createError<[string]>('FST_LOCKS_NOT_WIRED',
  'the locks plugin never saw the route %s: write `await app.register(locks, …)` before routes are declared', 500)
/** Its status is the route's `onBusy`. */
export const FST_LOCKS_BUSY = createError('FST_LOCKS_BUSY', 'Another request is working on the same thing: repeat this one later', 409)
