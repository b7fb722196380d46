import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { createCleanup } from '../../../services/idempotency/cleanup.js'
import { longestTimer } from '../../../services/options.js'

/** However late a tick is: what is down at that hour of each day would never clean up. */
const catchUp = { policy: 'latest', window: 366 * 86_400_000 } as const

export interface JobsOptions {
  /** ms */
  cleanupInterval: number
  /** After the server is ready, ms. */
  cleanupDelay: number
}

/** What the reference server does by itself. */
const jobs: FastifyPluginAsync<JobsOptions> = async (fastify, { cleanupInterval, cleanupDelay }) => {
  const cleanup = createCleanup({ postgres: fastify.pg, log: fastify.log })
  fastify.scheduler.define({ name: 'idempotency.cleanup', every: cleanupInterval, startDelay: cleanupDelay, catchUp, timeout: longestTimer, retries: 3, interruptible: true }, async ({ signal, progress }) => {
    await cleanup.run(signal, progress)
    signal.throwIfAborted() // what is left is for the next process
  })
}

export default fp(jobs, { name: 'holdfast-api-jobs', fastify: '5.x' })
