import createError from '@fastify/error'

export const FST_MIGRATIONS_OPTION_INVALID = createError<[string]>('FST_MIGRATIONS_OPTION_INVALID', '%s', 500)
/** Its `cause` is what Postgres answered, or why it could not be asked. */
export const FST_MIGRATIONS_FAILED = createError<[string]>('FST_MIGRATIONS_FAILED', 'the tables of Holdfast were not made: %s', 500)
