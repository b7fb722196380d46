import type { Static } from 'typebox'
import { bearerToken, boolean, host, integer, oneOf, secret, text, url, type Kind } from './kinds.js'

interface Variable extends Kind {
  readonly name: string
  readonly description: string
  readonly default?: string | number | boolean
  /** Where no default serves: what `.env.example` proposes. */
  readonly example?: string
  readonly required?: 'production'
  /** Another name of this variable. Where both are set they must agree. */
  readonly alias?: string
}

/** The one table of the environment: `loadConfig`, `.env.example` and the documentation are made from it. */
const table = {
  env: {
    name: 'NODE_ENV',
    ...oneOf('development', 'test', 'production'),
    default: 'development',
    description: 'Kind of deployment'
  },
  port: { name: 'PORT', ...integer(0, 65_535), default: 3001, description: 'TCP port to listen on; 0 takes a free one' },
  host: { name: 'HOST', ...host(), default: 'localhost', description: 'Address to listen on' },
  trustProxy: {
    name: 'TRUST_PROXY',
    ...text('^[\\w:./]+(, ?[\\w:./]+)*$', 'addresses and networks with commas between them'),
    description: 'Proxies whose `X-Forwarded-For` is believed: behind others all clients have one address, and share one `LOGIN_RATE_LIMIT`'
  },
  logLevel: {
    name: 'LOG_LEVEL',
    ...oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    default: 'info',
    description: 'Least severe level that is logged'
  },
  databaseUrl: {
    name: 'DATABASE_URL',
    ...url('postgres://', 'postgresql://'),
    required: 'production',
    example: 'postgresql://holdfast:holdfast@localhost:5432/holdfast',
    description: 'Postgres to connect to'
  },
  databaseDirectUrl: {
    name: 'DATABASE_DIRECT_URL',
    ...url('postgres://', 'postgresql://'),
    description: 'Postgres itself, for the session of the locks, where `DATABASE_URL` leads to a pooler in transaction mode'
  },
  redisUrl: {
    name: 'REDIS_URL',
    ...url('redis://', 'rediss://'),
    required: 'production',
    example: 'redis://localhost:6379',
    description: 'Redis to connect to'
  },
  databasePoolSize: {
    name: 'DATABASE_POOL_SIZE',
    ...integer(1, 1_000),
    default: 10,
    description: 'Most Postgres connections of one process, besides the one of its locks'
  },
  databaseConnectTimeoutMs: {
    name: 'DATABASE_CONNECT_TIMEOUT_MS',
    ...integer(1, 600_000),
    default: 30_000,
    description: 'Deadline of the initialisation of the database, in milliseconds'
  },
  jwtSecret: {
    name: 'JWT_SECRET',
    ...secret(32),
    required: 'production',
    description: 'Signs the access tokens; `openssl rand -base64 48` makes one'
  },
  jwtExpiresIn: {
    name: 'JWT_EXPIRES_IN',
    ...integer(60, 2_592_000),
    default: 3_600,
    description: 'Life of an access token, in seconds'
  },
  loginRateLimit: {
    name: 'LOGIN_RATE_LIMIT',
    ...integer(1, 10_000),
    default: 10,
    description: 'Attempts to log in per minute and address, over all instances'
  },
  apiRateLimit: {
    name: 'API_RATE_LIMIT',
    ...integer(1, 1_000_000),
    default: 6_000,
    description: 'Requests to `/api/v1/shares` per minute and user, over all instances'
  },
  shutdownTimeoutMs: {
    name: 'SHUTDOWN_TIMEOUT_MS',
    ...integer(100, 600_000),
    default: 25_000,
    description: 'Deadline of a graceful shutdown, in milliseconds'
  },
  idempotencyEnabled: {
    name: 'IDEMPOTENCY_ENABLED',
    ...boolean(),
    default: true,
    alias: 'ENABLE_IDEMPOTENCY_IOS_MVP',
    description: 'Whether duplicate requests are recognised, until the admin API says otherwise'
  },
  enableIdempotencyIosMvp: {
    name: 'ENABLE_IDEMPOTENCY_IOS_MVP',
    ...boolean(),
    description: 'Another name of `IDEMPOTENCY_ENABLED`; where both are set they must agree'
  },
  idempotencyRolloutPercent: {
    name: 'IDEMPOTENCY_ROLLOUT_PERCENT',
    ...integer(0, 100),
    default: 100,
    description: 'For how many of the users, in percent, until the admin API says otherwise'
  },
  idempotencyCleanupIntervalMs: {
    name: 'IDEMPOTENCY_CLEANUP_INTERVAL_MS',
    ...integer(1_000, 2_147_483_647),
    default: 86_400_000,
    description: 'How often expired idempotency records are deleted, in milliseconds'
  },
  idempotencyCleanupDelayMs: {
    name: 'IDEMPOTENCY_CLEANUP_DELAY_MS',
    ...integer(0, 2_147_483_647),
    default: 30_000,
    description: 'How long after the server is ready that begins, in milliseconds'
  },
  schedulerWorker: {
    name: 'SCHEDULER_WORKER',
    ...boolean(),
    default: true,
    description: 'Whether this process runs jobs, besides answering requests'
  },
  adminToken: {
    name: 'ADMIN_TOKEN',
    ...bearerToken(32),
    description: 'Bearer token of the admin API, which is not there without it; `openssl rand -base64 48` makes one'
  },
  holdfastPrefix: {
    name: 'HOLDFAST_PREFIX',
    ...text('^[a-z0-9:_-]{1,64}$', '1 to 64 characters of `a-z`, `0-9`, `:`, `_` and `-`'),
    default: 'holdfast',
    description: 'Prefix of every Redis key, and part of the key of every lock in Postgres'
  },
  holdfastDirectory: {
    name: 'HOLDFAST_DIRECTORY',
    ...text('\\S', 'a path'),
    default: '.holdfast',
    description: 'Folder of the embedded services'
  }
} as const satisfies Record<string, Variable>

type Table = typeof table

/** The validated environment. A variable without a default is `undefined` when it is not set. */
export type Config = {
  readonly [Key in keyof Table]: Static<Table[Key]['schema']> | (Table[Key] extends { default: unknown } ? never : undefined)
}

/** Every variable in the order in which it is documented; `key` is its name in {@link Config}. */
export const environment: ReadonlyArray<Variable & { readonly key: keyof Config }> =
  (Object.keys(table) as Array<keyof Table>).map((key) => ({ key, ...table[key] }))
