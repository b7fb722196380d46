import createError from '@fastify/error'

/** Errors of the lifecycle plugin. Each is explained in the table of README.md, which a test compares with this list. None is an answer to a request. */
export { FST_LIFECYCLE_STOPPING, FST_LIFECYCLE_TIMEOUT, FST_LIFECYCLE_USAGE } from '../../services/lifecycle/errors.js'

export const FST_LIFECYCLE_OPTION_INVALID = createError<[string]>('FST_LIFECYCLE_OPTION_INVALID', '%s', 500)
export const FST_LIFECYCLE_SIGNALS_TAKEN = createError('FST_LIFECYCLE_SIGNALS_TAKEN',
  'another application of this process has `signals: true`: the first one that has stopped would end the process under the other', 500)
