import createError from '@fastify/error'

/** Errors of the concurrency plugin. Each is explained in the table of README.md, which a test compares with this list, and those that are answered in docs/problems. */
export {
  FST_CONCURRENCY_ABORTED, FST_CONCURRENCY_CIRCUIT_OPEN, FST_CONCURRENCY_CLOSED, FST_CONCURRENCY_LIMITER_UNAVAILABLE, FST_CONCURRENCY_OPTION_INVALID,
  FST_CONCURRENCY_OVERDUE, FST_CONCURRENCY_RATE_LIMITED, FST_CONCURRENCY_TIMEOUT, FST_CONCURRENCY_UNKNOWN_NAME
} from '../../services/concurrency/errors.js'
export const FST_CONCURRENCY_NOT_WIRED = createError<[string]>('FST_CONCURRENCY_NOT_WIRED',
  'the concurrency plugin never saw the route %s: write `await app.register(concurrency, …)` before routes are declared', 500)
