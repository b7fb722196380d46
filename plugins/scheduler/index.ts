import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { createScheduler } from '../../services/scheduler/scheduler.js'
import { registryOf } from '../metrics/registry.js'
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
  fastify.addHook('onReady', async () => { await owned.start() })
  fastify.addHook('preClose', async () => { owned.stop(closeTimeout).catch(() => {}) }) // waited for, and told, in onClose: requests end meanwhile
  fastify.addHook('onClose', async () => {
    unwatch()
    if (!await owned.stop(closeTimeout)) log.warn('runs were still going on when the scheduler stopped')
  })
}

export default fp(scheduler, { name: 'holdfast-scheduler', fastify: '5.x' })
export { scheduler }
export * from './errors.js'
export type { SchedulerOptions, Role } from './options.js'
export type { AppOwnerSchedules, AppScheduler, JobName, PayloadOf } from './types.js'
export type { DefinitionOptions, ScheduleOptions } from '../../services/scheduler/definition.js'
export type { OwnedSchedule, OwnerSchedules } from '../../services/scheduler/owners.js'
export type { Run } from '../../services/scheduler/run.js'
