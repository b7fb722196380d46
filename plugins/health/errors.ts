import createError from '@fastify/error'

/** Explained in the table of README.md, which a test compares with this list. */
export const FST_HEALTH_OPTION_INVALID = createError<[string]>('FST_HEALTH_OPTION_INVALID', '%s', 500)
