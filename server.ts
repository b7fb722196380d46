import { realpathSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import admin from './plugins/api/admin/index.js'
import auth from './plugins/api/auth/index.js'
import jobs from './plugins/api/jobs/index.js'
import json from './plugins/api/json.js'
import problemPages from './plugins/api/problem-pages.js'
import problems, { answerFrameworkError } from './plugins/api/problems.js'
import shares from './plugins/api/shares/index.js'
import concurrency from './plugins/concurrency/index.js'
import configuration from './plugins/config/index.js'
import database from './plugins/database/index.js'
import jwt from './plugins/external/jwt.js'
import redis from './plugins/external/redis.js'
import swagger from './plugins/external/swagger.js'
import flags from './plugins/flags/index.js'
import health from './plugins/health/index.js'
import idempotency from './plugins/idempotency/index.js'
import lifecycle from './plugins/lifecycle/index.js'
import locks from './plugins/locks/index.js'
import metrics from './plugins/metrics/index.js'
import scheduler from './plugins/scheduler/index.js'
import type { Prisma } from './prisma/generated/client.js'
import type { CompleteConfig } from './services/config/index.js'
import { isTransient } from './services/database/errors.js'
import { answerClientError, answerUnusualRequests } from './services/http/raw-problems.js'
import { main } from './services/process/main.js'

declare module './plugins/idempotency/index.js' {
  interface IdempotencyTypes { transaction: Prisma.TransactionClient }
}

const docs = '/problems/'
const demoUser = { email: 'test-ios@example.com', password: 'TestPassword123!' }

export interface ServerOptions {
  logger?: FastifyServerOptions['logger']
  /** Ends the wait for a database that does not answer yet. */
  signal?: AbortSignal
  /** Stop at the signals of the process, and end it then. Default: false. */
  signals?: boolean
  /** What is closed after everything else. */
  release?: () => Promise<void>
}

function createApp (logger: FastifyServerOptions['logger'], trustProxy: string | undefined): FastifyInstance {
  const app = Fastify({
    logger,
    trustProxy: trustProxy ?? false,
    bodyLimit: 65_536,
    routerOptions: { ignoreTrailingSlash: true },
    pluginTimeout: 0, // the default of 10 s would cut off the wait for a database, which has a deadline of its own
    requestTimeout: 30_000, // Fastify's default is none: a client that never ends its body would be waited for
    return503OnClosing: false, // what is accepted is answered; `connection: close` sends the next request elsewhere
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    http: { requireHostHeader: false }, // Node would answer 400 without a body; the problems plugin does it
    clientErrorHandler: answerClientError,
    frameworkErrors: answerFrameworkError
  })
  answerUnusualRequests(app.server)
  app.server.maxHeadersCount = 0 // the size is limited; Node would silently drop what comes after the 2,000th line, perhaps a key
  return app
}

/** In the breaker only an outage counts: what Postgres refuses proves that it is there. One trial a second costs nothing, and ends an outage soon. */
function namedInstances ({ databasePoolSize, apiRateLimit, loginRateLimit }: CompleteConfig) {
  return {
    locks: ['database', 'websocket', 'scheduler'],
    semaphores: { database: databasePoolSize },
    limiters: { api: { points: apiRateLimit, duration: 60_000 }, login: { points: loginRateLimit, duration: 60_000 } },
    breakers: { database: { threshold: 5, halfOpenAfter: 1_000, isFailure: isTransient } }
  }
}

/** What the API stands on. The order is the documentation: a plugin uses what stands above it and is closed before it. */
async function registerServices (app: FastifyInstance, config: CompleteConfig, { signal, signals = false }: ServerOptions): Promise<void> {
  await app.register(lifecycle, { deadline: config.shutdownTimeoutMs, signals })
  await app.register(problems, { docs })
  await app.register(json)
  await app.register(health)
  await app.register(configuration, { config })
  await app.register(metrics)
  await app.register(swagger, { version: '1' })
  await app.register(redis, { url: config.redisUrl })
  await app.register(concurrency, {
    ...namedInstances(config),
    redis: app.redis,
    prefix: config.holdfastPrefix,
    limiterKey: ({ user, ip }) => user?.sub ?? ip,
    docs
  })
  await app.register(database, {
    url: config.databaseUrl,
    directUrl: config.databaseDirectUrl,
    poolSize: config.databasePoolSize,
    deadline: config.databaseConnectTimeoutMs,
    signal,
    guard: (work) => app.concurrency.guard('database', work)
  })
  await app.register(locks, { redis: app.redis, postgres: app.pg, directUrl: config.databaseDirectUrl, prefix: config.holdfastPrefix })
  await app.register(scheduler, {
    redis: app.redis,
    postgres: app.pg,
    prefix: config.holdfastPrefix,
    roles: config.schedulerWorker ? ['web', 'worker'] : ['web'],
    closeTimeout: Math.floor(config.shutdownTimeoutMs * 0.8) // before the lifecycle cuts off what still runs, at nine tenths
  })
  await app.register(jwt, { secret: config.jwtSecret, expiresIn: config.jwtExpiresIn })
}

/** The API, and what every route of it passes. */
async function registerApi (app: FastifyInstance, config: CompleteConfig): Promise<void> {
  await app.register(flags, { defaults: { enabled: config.idempotencyEnabled, percent: config.idempotencyRolloutPercent } })
  await app.register(idempotency, {
    store: { redis: app.redis, postgres: app.pg },
    transactions: app.prisma,
    principal: ({ user }) => user?.sub ?? null,
    prefix: config.holdfastPrefix,
    enabled: () => app.idempotencyFlag.current().enabled,
    rolloutPercent: () => app.idempotencyFlag.current().percent,
    docs
  })
  await app.register(jobs, { cleanupInterval: config.idempotencyCleanupIntervalMs, cleanupDelay: config.idempotencyCleanupDelayMs })
  await app.register(problemPages, { prefix: docs })
  await app.register(auth, {
    prefix: '/api/auth',
    expiresIn: config.jwtExpiresIn,
    demoUser: config.env === 'production' ? null : demoUser
  })
  await app.register(shares, { prefix: '/api/v1/shares' })
  if (config.adminToken !== undefined) await app.register(admin, { prefix: '/api/v1/admin', token: config.adminToken })
}

/**
 * The reference server, ready to listen.
 *
 * @throws what makes a start impossible: a wrong password, an unknown database, a failed migration
 */
export async function buildServer (config: CompleteConfig, options: ServerOptions = {}): Promise<FastifyInstance> {
  const app = createApp(options.logger ?? { level: config.logLevel }, config.trustProxy)
  const { release } = options
  if (release !== undefined) app.addHook('onClose', release)
  try {
    await registerServices(app, config, options)
    await registerApi(app, config)
    await app.ready()
    return app
  } catch (error) {
    await app.close()
    throw error
  }
}

// The path that node was given may lead here through a symbolic link.
if (import.meta.url === pathToFileURL(realpathSync(process.argv[1] ?? '.')).href) await main(buildServer)
