import { checkDefinition, toDefinition } from './definition.js'
import type { Definition, DefinitionOptions } from './definition.js'
import { FST_SCHEDULER_DUPLICATE, FST_SCHEDULER_OPTION_INVALID, FST_SCHEDULER_PAYLOAD_INVALID, FST_SCHEDULER_TOO_LATE, FST_SCHEDULER_UNKNOWN_JOB } from './errors.js'
import { payloadCheck } from './payload-check.js'
import type { RunnableJob } from './run.js'

/** The jobs that this process has a handler for. */
export interface Jobs {
  /** @throws FST_SCHEDULER_OPTION_INVALID, FST_SCHEDULER_DUPLICATE, FST_SCHEDULER_TOO_LATE */
  define: (options: DefinitionOptions, handler: RunnableJob['handler']) => void
  /** From now on `define` throws. */
  close: () => void
  of: (name: string) => RunnableJob | undefined
  definitions: () => Definition[]
  /** @throws FST_SCHEDULER_UNKNOWN_JOB, FST_SCHEDULER_PAYLOAD_INVALID */
  check: (name: string, payload: unknown) => void
  /** Whether it can run with the payload of its definition. One that this process does not have may. @throws FST_SCHEDULER_PAYLOAD_INVALID */
  checkOwn: (name: string) => void
}

interface Job extends RunnableJob {
  definition: Definition
}

export function createJobs (): Jobs {
  const jobs = new Map<string, Job>()
  let isClosed = false
  const fit = ({ definition: { name }, checkPayload }: Job, payload: unknown): void => {
    const misfit = checkPayload?.(payload ?? null) ?? null
    if (misfit !== null) throw new FST_SCHEDULER_PAYLOAD_INVALID(name, misfit)
  }
  return {
    define (options, handler) {
      const job = toJob(options, handler)
      const { name } = job.definition
      if (isClosed) throw new FST_SCHEDULER_TOO_LATE(name)
      if (jobs.has(name)) throw new FST_SCHEDULER_DUPLICATE(name)
      jobs.set(name, job)
    },
    close () { isClosed = true },
    of: (name) => jobs.get(name),
    definitions: () => [...jobs.values()].map(({ definition }) => definition),
    check (name, payload) {
      const job = jobs.get(name)
      if (job === undefined) throw new FST_SCHEDULER_UNKNOWN_JOB(name)
      fit(job, payload)
    },
    checkOwn (name) {
      const job = jobs.get(name)
      if (job !== undefined) fit(job, job.definition.payload)
    }
  }
}

function toJob (options: DefinitionOptions, handler: RunnableJob['handler']): Job {
  const problem = checkDefinition(options) ?? (typeof handler === 'function' ? null : `schedule \`${options.name}\`: its handler must be a function`)
  if (problem !== null) throw new FST_SCHEDULER_OPTION_INVALID(problem)
  const definition = toDefinition(options)
  const job = { definition, handler, timeout: definition.timeout, retries: definition.retries, backoff: definition.backoff, maxStarts: definition.maxStarts, interruptible: definition.interruptible, checkPayload: checkOf(definition) }
  // What every tick would bring is known now.
  const misfit = definition.cron === null && definition.every === null ? null : job.checkPayload?.(definition.payload) ?? null
  if (misfit !== null) throw new FST_SCHEDULER_OPTION_INVALID(`schedule \`${definition.name}\`: option \`payload\` must fit \`schema\`: ${misfit}`)
  return job
}

function checkOf ({ name, schema }: Definition): RunnableJob['checkPayload'] {
  if (schema === null) return null
  try {
    return payloadCheck(schema)
  } catch (error) {
    throw Object.assign(new FST_SCHEDULER_OPTION_INVALID(`schedule \`${name}\`: option \`schema\` must be a JSON schema, got one that does not compile`), { cause: error })
  }
}
