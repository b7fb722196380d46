import createError from '@fastify/error'

/** A mistake of the program: a phase that is declared twice, waits for itself or for one that nobody declares, or has a wrong option. */
export const FST_LIFECYCLE_USAGE = createError<[string]>('FST_LIFECYCLE_USAGE', '%s', 500)
/** The stop began before the phase had ended. */
export const FST_LIFECYCLE_STOPPING = createError<[string]>('FST_LIFECYCLE_STOPPING', 'interrupted: the server stops before %s', 503)
/** One attempt of a phase took too long. */
export const FST_LIFECYCLE_TIMEOUT = createError<[string, number]>('FST_LIFECYCLE_TIMEOUT', 'the phase `%s` has not ended within %s ms', 500)
