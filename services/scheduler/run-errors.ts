import createError from '@fastify/error'

/** Reasons that the signal of a run is aborted with, and what the executor throws. The plugin has them in its catalogue. */

/** It took longer than its `timeout`. A run that fails with it counts as failed. */
export const FST_SCHEDULER_RUN_TIMEOUT = createError<[name: string, ms: number]>('FST_SCHEDULER_RUN_TIMEOUT', 'a run of %s took longer than its timeout (%d ms)', 500)
/** Somebody asked for its end, or a newer run takes its place. */
export const FST_SCHEDULER_RUN_CANCELLED = createError<[name: string]>('FST_SCHEDULER_RUN_CANCELLED', 'a run of %s was cancelled', 500)
/** The lease could not be extended in time, or another process has the run: nothing that it still does may count. */
export const FST_SCHEDULER_RUN_LOST = createError<[name: string]>('FST_SCHEDULER_RUN_LOST', 'a run of %s was lost to another process', 500)
/** This process stops. The run goes back, and counts neither as a start nor as a failure. */
export const FST_SCHEDULER_STOPPING = createError<[name: string]>('FST_SCHEDULER_STOPPING', 'a run of %s was interrupted by the stop of the process', 503)
/** BullMQ's scripts build their own keys. */
export const FST_SCHEDULER_KEY_PREFIX = createError<[got: string]>('FST_SCHEDULER_KEY_PREFIX',
  'option `redis` must be a client without `keyPrefix`, got one with `%s`: use the option `prefix` of the scheduler', 500)
