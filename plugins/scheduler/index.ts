import type { FastifyBaseLogger, FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { isSchemaError, unusableDatabase } from '../../services/database/errors.js'
import { createScheduler } from '../../services/scheduler/scheduler.js'
import type { OwnedScheduler } from '../../services/scheduler/scheduler.js'
import type {} from '../lifecycle/index.js'
import { registryOf } from '../metrics/registry.js'
import { rootOf } from '../root.js'
import { FST_SCHEDULER_OPTION_INVALID } from './errors.js'
import { createMetrics } from './metrics.js'
import { defaults } from './options.js'
import type { SchedulerOptions } from './options.js'
import { checkPluginOptions } from './rules.js'
import type { AppScheduler } from './types.js'

/**
 * The jobs of an application and their payloads. Declare them, and a misspelt name or a wrong payload does not compile:
 *
 *     declare module 'holdfast/scheduler' {
 *       interface SchedulerJobs { 'digest.send': { userId: string } }
 *     }
 */
export interface SchedulerJobs {}

declare module 'fastify' {
  interface FastifyInstance {
    scheduler: AppScheduler
  }
}

/**
 * Decorates `fastify.scheduler`. Each tick of a schedule runs once in the whole cluster; jobs begin when the application is ready, and end before it is
 * closed. Register it after the clients that it is given. See README.md.
 */
const scheduler: FastifyPluginAsync<SchedulerOptions> = async (fastify, options) => {
  checkPluginOptions(options)
  const { redis, postgres: pool, roles, closeTimeout, ...settings } = { ...defaults, ...options }
  const log = fastify.log.child({ plugin: 'scheduler' })
  const metrics = createMetrics(registryOf(fastify, options))
  const observer = { ...metrics.observer, unreadable (schedule: object, err: unknown) { log.error({ ...schedule, err }, 'a schedule cannot be read: it is put off') } }
  const owned = createScheduler({ ...settings, redis, pool, log, observer, isWorker: roles.includes('worker') })
  const unwatch = metrics.watch(owned.overview)
  fastify.decorate('scheduler', owned.scheduler as AppScheduler)
  wire(fastify, owned, async () => {
    if (!await owned.stop(closeTimeout)) throw new Error('runs were still going on when the scheduler stopped')
  }, log)
  fastify.addHook('onClose', unwatch)
}

/** With the plugin holdfast/lifecycle the start is one of its phases, and a run that was left behind makes its stop a forced one. */
function wire (fastify: FastifyInstance, { start: declare, work }: OwnedScheduler, stop: () => Promise<void>, log: FastifyBaseLogger): void {
  const lifecycle = fastify.hasDecorator('lifecycle') ? fastify.lifecycle : null
  const start = async (): Promise<void> => {
    await declare().catch((error: unknown) => {
      throw isSchemaError(error) ? Object.assign(new FST_SCHEDULER_OPTION_INVALID(unusableDatabase('postgres', error)), { cause: error }) : error
    })
  }
  const begin = async (): Promise<void> => { await work().catch((err: unknown) => { log.error({ err }, 'this process could not begin to work for the scheduler') }) }
  const end = (): void => { stop().catch(() => {}) } // waited for, and told, later: requests end meanwhile
  fastify.addHook('onReady', async () => {
    await (lifecycle?.phase('scheduler', start) ?? start())
    rootOf(fastify).ready().then(begin, () => {}) // handlers may use what other plugins have ready, and a boot that fails begins nothing
  })
  lifecycle?.stopping.addEventListener('abort', end, { once: true })
  fastify.addHook('preClose', async () => { end() })
  lifecycle?.onDrain('scheduler', stop)
  fastify.addHook('onClose', async () => {
    await stop().catch((err: unknown) => { if (lifecycle === null) log.warn({ err }, 'the scheduler did not drain') })
  })
}

export default fp(scheduler, { name: 'holdfast-scheduler', fastify: '5.x' })
export { scheduler }
export * from './errors.js'
export type { SchedulerOptions, Role } from './options.js'
export type { AppOwnerSchedules, AppRun, AppScheduler, JobName, PayloadOf } from './types.js'
export type { DefinitionOptions, ScheduleOptions } from '../../services/scheduler/definition.js'
export type { OwnedSchedule, OwnerSchedules } from '../../services/scheduler/owners.js'
export type { Enqueued, EnqueueRequest } from '../../services/scheduler/enqueue.js'
export type { Pause, PauseOptions, Triggered, TriggerOptions } from '../../services/scheduler/control.js'
export type { Run as RunRecord, RunsOptions, ScheduleState } from '../../services/scheduler/history.js'
export type { Run } from '../../services/scheduler/run.js'
