import createError from '@fastify/error'

/** Errors of the scheduler. Each is explained in the table of the plugin's README.md; a test compares it with this list. */
export * from './request-errors.js'
export * from './run-errors.js'

/** Two jobs of one name: only one of them would run. */
export const FST_SCHEDULER_DUPLICATE = createError<[string]>('FST_SCHEDULER_DUPLICATE', 'the job %s is defined twice', 500)
/** What this process has is declared when it starts. */
export const FST_SCHEDULER_TOO_LATE = createError<[string]>('FST_SCHEDULER_TOO_LATE', 'the job %s must be defined before the application is ready', 500)
export const FST_SCHEDULER_UNKNOWN_JOB = createError<[string]>('FST_SCHEDULER_UNKNOWN_JOB', 'there is no job %s', 404)
/** A payload that does not fit the schema of its job. */
export const FST_SCHEDULER_PAYLOAD_INVALID = createError<[name: string, why: string]>('FST_SCHEDULER_PAYLOAD_INVALID', 'the payload does not fit the job %s: %s', 400)
