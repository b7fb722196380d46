import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { headerLines, parseKey } from '../../../services/idempotency/key.js'
import { FST_IDEMPOTENCY_KEY_INVALID } from '../../idempotency/errors.js'
import { FST_API_JOB_UNKNOWN } from '../errors.js'
import { NoQuery, problems } from '../schemas.js'
import { JobParams, JobsBody, maxKeyLength, PauseBody, PausedBody, ResumedBody, RunsBody, RunHeaders, RunsQuery, TriggeredBody } from './job-schemas.js'

const common = { tags: ['admin'], security: [{ admin: [] }] }

/** They must work while the store of the keys does not: of a run the ledger remembers the key. */
const config = { idempotency: false } as const

const iso = (date: Date): string => date.toISOString()
const isoOrNull = (date: Date | null): string | null => date === null ? null : iso(date)

interface Times {
  tick: Date
  startedAt: Date | null
  finishedAt: Date | null
}

const withTimes = <T extends Times>(run: T) => ({ ...run, tick: iso(run.tick), startedAt: isoOrNull(run.startedAt), finishedAt: isoOrNull(run.finishedAt) })
const pauseBody = <T extends { at: Date }>(pause: T) => ({ ...pause, at: iso(pause.at) })

function known<T> (answer: T | null, name: string): T {
  if (answer === null) throw new FST_API_JOB_UNKNOWN(name)
  return answer
}

/** The key is read as that of any other route. */
function requestOf (rawHeaders: string[]): { requestId?: string } {
  const lines = headerLines(rawHeaders, 'idempotency-key')
  if (lines.length === 0) return {}
  const parsed = parseKey(lines, maxKeyLength)
  if (!parsed.ok) throw new FST_IDEMPOTENCY_KEY_INVALID(parsed.reason)
  return { requestId: parsed.key }
}

type Application = Parameters<FastifyPluginAsyncTypebox>[0]

/** The declared jobs, their runs, and what an operator does with them. */
const jobs: FastifyPluginAsyncTypebox = async (fastify) => {
  showJobs(fastify)
  controlJobs(fastify)
}

function showJobs (fastify: Application): void {
  const { scheduler } = fastify

  fastify.get('/', {
    schema: { ...common, summary: 'The declared jobs, their next ticks and last runs', querystring: NoQuery, response: { 200: JobsBody, ...problems(400, 401, 503) } }
  }, async () => ({
    jobs: (await scheduler.list()).map((job) => ({ ...job, nextAt: isoOrNull(job.nextAt), pause: job.pause && pauseBody(job.pause), lastRun: job.lastRun && withTimes(job.lastRun) }))
  }))

  fastify.get('/:name/runs', {
    schema: { ...common, summary: 'Runs of a job, newest first', params: JobParams, querystring: RunsQuery, response: { 200: RunsBody, ...problems(400, 401, 404, 503) } }
  }, async ({ params: { name }, query: { limit, before } }) => {
    const runs = await scheduler.runs(name, { limit: Number(limit), ...(before === undefined ? {} : { before }) })
    // One that is declared no more still has a history.
    if (runs.length === 0 && !(await scheduler.list()).some((job) => job.name === name)) throw new FST_API_JOB_UNKNOWN(name)
    return { runs: runs.map((run) => ({ ...withTimes(run), dueAt: iso(run.dueAt) })) }
  })
}

function controlJobs (fastify: Application): void {
  const { scheduler } = fastify

  fastify.post('/:name/run', {
    config,
    schema: { ...common, summary: 'Run a job now', params: JobParams, headers: RunHeaders, querystring: NoQuery, response: { 202: TriggeredBody, ...problems(400, 401, 404, 422, 503) } }
  }, async ({ params: { name }, raw: { rawHeaders } }, reply) =>
    await reply.code(202).send(known(await scheduler.trigger(name, requestOf(rawHeaders)), name)))

  fastify.post('/:name/pause', {
    config,
    schema: { ...common, summary: 'Let a job tick no more', params: JobParams, body: PauseBody, querystring: NoQuery, response: { 200: PausedBody, ...problems(400, 401, 404, 503) } }
  }, async ({ params: { name }, body: { reason } }) => pauseBody(known(await scheduler.pause(name, reason, { by: 'admin' }), name)))

  fastify.post('/:name/resume', {
    config,
    schema: { ...common, summary: 'Let a job tick again, from its next tick on', params: JobParams, querystring: NoQuery, response: { 200: ResumedBody, ...problems(400, 401, 404, 503) } }
  }, async ({ params: { name } }) => ({ nextAt: isoOrNull(known(await scheduler.resume(name), name).nextAt) }))
}

export default jobs
