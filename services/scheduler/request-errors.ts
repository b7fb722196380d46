import createError from '@fastify/error'

/** What calls throw. The plugin has them in its catalogue. */

/** An option of the plugin, of a job or a schedule, which it names, or of a call. */
export const FST_SCHEDULER_OPTION_INVALID = createError<[string]>('FST_SCHEDULER_OPTION_INVALID', '%s', 500, TypeError)

/** A row that is written outside of a transaction of the caller's would not be rolled back with it. */
export const FST_SCHEDULER_NO_TRANSACTION = createError('FST_SCHEDULER_NO_TRANSACTION', 'a job is enqueued with a pg client or a Prisma client in a transaction', 500)
/** To answer with what it has done before would be to lose a run. */
export const FST_SCHEDULER_REQUEST_ID_REUSED = createError<[id: string, name: string]>('FST_SCHEDULER_REQUEST_ID_REUSED',
  'the request id %s belongs to something else than this request for a run of %s', 422)
