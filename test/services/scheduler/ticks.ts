import type { Redis } from 'ioredis'
import { keysOf, tickQueue } from '../../../services/scheduler/queues.js'

/** The ids of the ticker's jobs that were added, or were taken by somebody, from the events of its queue. */
export async function jobsOf (redis: Redis, prefix: string, which: 'added' | 'active'): Promise<string[]> {
  const events = await redis.xrange(`${keysOf(prefix)}:${tickQueue}:events`, '-', '+')
  return events.map(([, fields]) => Object.fromEntries(fields.flatMap((name, at) => at % 2 === 0 ? [[name, fields[at + 1] ?? '']] : [])) as Record<string, string>)
    .filter(({ event }) => event === which).map(({ jobId = '' }) => jobId)
}

export const millisecondsOf = (job: string): number => Number(job.split(':').at(-1))
