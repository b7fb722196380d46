import Type from 'typebox'
import type { TSchema } from 'typebox'

const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const time = Type.String({ format: 'date-time' })
const id = Type.String({ pattern: '^\\d{1,18}$' })

const run = {
  id,
  kind: Type.String({ description: 'tick, manual or enqueued' }),
  tick: Type.String({ format: 'date-time', description: 'The nominal instant, or when it was asked for' }),
  state: Type.String({ description: 'waiting, pending, enqueued, running, done, dead, skipped, missed or cancelled' }),
  startedAt: nullable(time),
  finishedAt: nullable(time),
  error: nullable(Type.String())
}

export const JobParams = Type.Object({ name: Type.String({ pattern: '^[\\w.-]{1,100}$' }) })

export const RunsQuery = Type.Object({
  // Text, because nothing is coerced: `limit=1e1` is a mistake.
  limit: Type.String({ pattern: '^([1-9][0-9]?|100)$', default: '20', description: '1 to 100' }),
  before: Type.Optional(Type.String({ pattern: '^\\d{1,18}$', description: 'Id of the last run of the page before' }))
}, { additionalProperties: false })

export const PauseBody = Type.Object({ reason: Type.String({ minLength: 1, maxLength: 1_000, pattern: '^[^\\0]*[^\\0\\s][^\\0]*$' }) }, { additionalProperties: false })

/** Characters. */
export const maxKeyLength = 255

export const RunHeaders = Type.Object({
  'idempotency-key': Type.Optional(Type.String({ description: 'However often a run is asked for with it, it is one run' }))
})

export const JobsBody = Type.Object({
  jobs: Type.Array(Type.Object({
    name: Type.String(),
    cron: nullable(Type.String()),
    every: nullable(Type.Integer({ description: 'ms' })),
    timezone: Type.String(),
    overlap: Type.String(),
    nextAt: nullable(time),
    pause: nullable(Type.Object({ at: time, reason: Type.String(), by: nullable(Type.String()) })),
    lastRun: nullable(Type.Object(run))
  }))
})

export const RunsBody = Type.Object({
  runs: Type.Array(Type.Object({
    ...run,
    dueAt: time,
    starts: Type.Integer(),
    failures: Type.Integer(),
    progress: nullable(Type.Integer()),
    total: nullable(Type.Integer()),
    worker: nullable(Type.String({ description: 'The process that had it last' }))
  }))
})

export const TriggeredBody = Type.Object({ id, state: Type.String({ description: 'pending, waiting or skipped' }) })
export const PausedBody = Type.Object({ at: time, reason: Type.String(), by: nullable(Type.String()) })
export const ResumedBody = Type.Object({ nextAt: nullable(time) })
