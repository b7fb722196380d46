import t from 'tap'
import { ConfigError, environment, loadConfig, type Config } from '../../../services/config/index.js'

const problemsOf = (env: NodeJS.ProcessEnv): readonly string[] => {
  try {
    loadConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

const secret = 'a'.repeat(32)
const complete = { DATABASE_URL: 'postgres://app:pass@db/app', REDIS_URL: 'rediss://:pass@redis:6380/1', JWT_SECRET: secret }

await t.test('an empty environment gives the defaults', async (t) => {
  t.strictSame(loadConfig({}), {
    env: 'development',
    port: 3001,
    host: 'localhost',
    trustProxy: undefined,
    logLevel: 'info',
    databaseUrl: undefined,
    databaseDirectUrl: undefined,
    redisUrl: undefined,
    databasePoolSize: 10,
    databaseConnectTimeoutMs: 30_000,
    jwtSecret: undefined,
    jwtExpiresIn: 3_600,
    loginRateLimit: 10,
    apiRateLimit: 6_000,
    shutdownTimeoutMs: 25_000,
    idempotencyEnabled: true,
    enableIdempotencyIosMvp: undefined,
    idempotencyRolloutPercent: 100,
    idempotencyCleanupIntervalMs: 86_400_000,
    idempotencyCleanupDelayMs: 30_000,
    schedulerWorker: true,
    adminToken: undefined,
    holdfastPrefix: 'holdfast',
    holdfastDirectory: '.holdfast'
  })
})

await t.test('a complete environment is read into the types of Config', async (t) => {
  const config: Config = loadConfig({
    ...complete,
    NODE_ENV: 'production',
    PORT: '0',
    HOST: '::1',
    TRUST_PROXY: 'loopback, 10.0.0.0/8,fd00::/8',
    LOG_LEVEL: 'silent',
    DATABASE_DIRECT_URL: 'postgres://direct/app',
    DATABASE_POOL_SIZE: '1000',
    DATABASE_CONNECT_TIMEOUT_MS: '1',
    JWT_EXPIRES_IN: '60',
    LOGIN_RATE_LIMIT: '10000',
    API_RATE_LIMIT: '1000000',
    SHUTDOWN_TIMEOUT_MS: '600000',
    IDEMPOTENCY_ENABLED: 'false',
    ENABLE_IDEMPOTENCY_IOS_MVP: 'false',
    IDEMPOTENCY_ROLLOUT_PERCENT: '0',
    IDEMPOTENCY_CLEANUP_INTERVAL_MS: '1000',
    IDEMPOTENCY_CLEANUP_DELAY_MS: '0',
    SCHEDULER_WORKER: 'false',
    ADMIN_TOKEN: secret,
    HOLDFAST_PREFIX: 'a:b_c-9',
    HOLDFAST_DIRECTORY: '/var/lib/hold fast'
  })
  const port: number = config.port
  const databaseUrl: string | undefined = config.databaseUrl
  const isLoose: 'verbose' extends typeof config.logLevel ? true : false = false // does not compile where the levels are any string
  t.equal(isLoose, false)
  t.strictSame([port, databaseUrl], [0, complete.DATABASE_URL])
  t.strictSame(Object.values(config), [
    'production', 0, '::1', 'loopback, 10.0.0.0/8,fd00::/8', 'silent', complete.DATABASE_URL, 'postgres://direct/app', complete.REDIS_URL, 1_000, 1, secret, 60, 10_000, 1_000_000, 600_000, false, false, 0, 1_000, 0, false,
    secret, 'a:b_c-9', '/var/lib/hold fast'
  ])
})

await t.test('the configuration is frozen', async (t) => {
  t.ok(Object.isFrozen(loadConfig({})))
})

await t.test('an empty value counts as unset', async (t) => {
  const empty = Object.fromEntries(environment.map(({ name }) => [name, '']))
  t.strictSame(loadConfig({ ...empty, HOLDFAST_NONSENSE: '' }), loadConfig({}))
})

await t.test('a wrong value is refused with what it is and what is expected', async (t) => {
  const expected: Record<string, [expected: string, values: string[]]> = {
    NODE_ENV: ['one of `development`, `test`, `production`', ['prod', 'Production', 'production ']],
    PORT: ['an integer from 0 to 65535', ['abc', '65536', '-1', '-0', '1e3', '0x10', '3001 ', ' 3001', '+1', '1.5', '1.0', '007', 'NaN', '٣', '99999999999999999999']],
    HOST: ['a host name or an IP address', ['localhost:3001', 'http://localhost', 'a b', ' ', '[::1]', 'a'.repeat(254)]],
    LOG_LEVEL: ['one of `fatal`, `error`, `warn`, `info`, `debug`, `trace`, `silent`', ['verbose', 'INFO']],
    DATABASE_POOL_SIZE: ['an integer from 1 to 1000', ['0', '1001']],
    DATABASE_CONNECT_TIMEOUT_MS: ['an integer from 1 to 600000', ['0', '600001', '30s']],
    JWT_EXPIRES_IN: ['an integer from 60 to 2592000', ['59', '2592001', '1h']],
    LOGIN_RATE_LIMIT: ['an integer from 1 to 10000', ['0', '10001']],
    API_RATE_LIMIT: ['an integer from 1 to 1000000', ['0', '1000001']],
    SHUTDOWN_TIMEOUT_MS: ['an integer from 100 to 600000', ['99', '600001']],
    IDEMPOTENCY_CLEANUP_INTERVAL_MS: ['an integer from 1000 to 2147483647', ['999', '2147483648', '1d']],
    IDEMPOTENCY_CLEANUP_DELAY_MS: ['an integer from 0 to 2147483647', ['-1', '2147483648']],
    SCHEDULER_WORKER: ['`true` or `false`', ['1', 'worker']],
    IDEMPOTENCY_ENABLED: ['`true` or `false`', ['1', 'yes', 'TRUE', 'false ']],
    ENABLE_IDEMPOTENCY_IOS_MVP: ['`true` or `false`', ['0', 'False']],
    IDEMPOTENCY_ROLLOUT_PERCENT: ['an integer from 0 to 100', ['-1', '101', '1.5', '50%']],
    HOLDFAST_PREFIX: ['1 to 64 characters of `a-z`, `0-9`, `:`, `_` and `-`', ['Holdfast', '{a}', 'a*', 'a'.repeat(65)]],
    HOLDFAST_DIRECTORY: ['a path', [' ']]
  }
  for (const [name, [sentence, values]] of Object.entries(expected)) {
    for (const value of values) {
      const shown = value.length > 100 ? `${value.slice(0, 100)}…` : value
      t.strictSame(problemsOf({ [name]: value }), [`option \`${name}\` must be ${sentence}, got \`${shown}\``])
    }
  }
})

await t.test('ENABLE_IDEMPOTENCY_IOS_MVP is another name of IDEMPOTENCY_ENABLED', async (t) => {
  t.equal(loadConfig({ ENABLE_IDEMPOTENCY_IOS_MVP: 'false' }).idempotencyEnabled, false)
  t.equal(loadConfig({ ENABLE_IDEMPOTENCY_IOS_MVP: 'true' }).idempotencyEnabled, true)
  t.equal(loadConfig({ ENABLE_IDEMPOTENCY_IOS_MVP: 'false', IDEMPOTENCY_ENABLED: '' }).idempotencyEnabled, false)
  t.equal(loadConfig({ ENABLE_IDEMPOTENCY_IOS_MVP: '', IDEMPOTENCY_ENABLED: 'false' }).idempotencyEnabled, false)
  for (const [alias, own] of [['false', 'true'], ['true', 'false']]) {
    t.strictSame(problemsOf({ ENABLE_IDEMPOTENCY_IOS_MVP: alias, IDEMPOTENCY_ENABLED: own }),
      [`option \`ENABLE_IDEMPOTENCY_IOS_MVP\` is another name of \`IDEMPOTENCY_ENABLED\` and must agree with it, got \`${alias}\` and \`${own}\``])
    t.equal(loadConfig({ ENABLE_IDEMPOTENCY_IOS_MVP: own, IDEMPOTENCY_ENABLED: own }).idempotencyEnabled, own === 'true')
  }
})

await t.test('a URL of another kind is refused', async (t) => {
  const values = ['mysql://db/app', 'http://db', 'db:5432', 'postgres:db', 'postgres://', 'postgres:///app', 'postgres://db:port/app', 'POSTGRES://db', ' postgres://db']
  for (const value of values) {
    t.match(problemsOf({ DATABASE_URL: value }), [/^option `DATABASE_URL` must be a URL that starts with `postgres:\/\/` or `postgresql:\/\/` and names a host, got /], value)
  }
  for (const value of ['http://redis', 'redis://', 'redis', 'postgres://db']) {
    t.match(problemsOf({ REDIS_URL: value }), [/^option `REDIS_URL` must be a URL that starts with `redis:\/\/` or `rediss:\/\/`/], value)
  }
})

await t.test('a URL of the right kind is taken', async (t) => {
  for (const value of ['postgres://db', 'postgresql://u:p%40@db:5432/app?schema=x', 'postgresql:///app?host=/run/postgresql', 'postgres://[::1]:5432/app']) {
    t.equal(loadConfig({ DATABASE_URL: value }).databaseUrl, value)
  }
})

await t.test('no message shows a secret', async (t) => {
  const leaks = [
    'mysql://root:hunter2@db/app',
    'mysql://hunter2@db/app',
    'mysql://root:p@hunter2@db/app',
    'mysql://root:p/hunter2@db/app',
    'mysql://root:p#hunter2@db/app',
    'mysql://root:p?hunter2@db/app',
    'mysql://root:p\nhunter2@db/app',
    'mysql://admin/p@x?y@hunter2:pw@db/app',
    'mysql://db/app?password=hunter2',
    'mysql://db/app#hunter2',
    'postgres://root:hunter2',
    'postgres://root:hunter2@db:port/app',
    'host=db password=hunter2',
    'root:hunter2@db',
    'hunter2'
  ]
  for (const name of ['DATABASE_URL', 'REDIS_URL']) {
    for (const value of leaks) t.notMatch(problemsOf({ [name]: value }).join(), 'hunter2', value)
  }
  t.strictSame(problemsOf({ JWT_SECRET: 'hunter2' }), ['option `JWT_SECRET` must be at least 32 characters long, got 7 characters'])
  t.strictSame(problemsOf({ ADMIN_TOKEN: 'hunter2' }), ['option `ADMIN_TOKEN` must be at least 32 visible ASCII characters, got 7 characters'])
  for (const value of ['hünter2'.repeat(10), 'hunter2 '.repeat(10)]) t.match(problemsOf({ ADMIN_TOKEN: value }), [/got \d+ characters$/])
  t.notMatch(problemsOf({ DATABASE_PASSWORD: 'hunter2' }).join(), 'hunter2')
})

await t.test('a refused URL keeps the parts that help', async (t) => {
  t.match(problemsOf({ DATABASE_URL: 'mysql://root:pw@db:3306/app?ssl=1' }), [/got `mysql:\/\/\*\*\*@db:3306\/app\?\*\*\*`$/])
  t.match(problemsOf({ DATABASE_URL: 'mysql://db/app' }), [/got `mysql:\/\/db\/app`$/])
  t.match(problemsOf({ DATABASE_URL: 'postgres://root:pw' }), [/got `postgres:\/\/\*\*\*` \(18 characters\)$/])
})

await t.test('production requires both URLs and the secret', async (t) => {
  t.strictSame(problemsOf({ NODE_ENV: 'production' }), ['DATABASE_URL', 'REDIS_URL', 'JWT_SECRET'].map((name) =>
    `option \`${name}\` is required when NODE_ENV is \`production\`, got nothing`))
  t.strictSame(problemsOf({ NODE_ENV: 'production', ...complete }), [])
  t.strictSame(problemsOf({ NODE_ENV: 'test' }), [])
})

await t.test('one error lists every problem, one a line', async (t) => {
  const env = { NODE_ENV: 'production', PORT: 'a\nb\u2028\u0085c', LOG_LEVEL: 'loud', ...complete, REDIS_URL: '', 'HOLDFAST_A\nB': '1' }
  t.throws(() => loadConfig(env), {
    name: 'ConfigError',
    message: [
      'option `PORT` must be an integer from 0 to 65535, got `a\\u000ab\\u2028\\u0085c`',
      'option `LOG_LEVEL` must be one of `fatal`, `error`, `warn`, `info`, `debug`, `trace`, `silent`, got `loud`',
      'option `REDIS_URL` is required when NODE_ENV is `production`, got nothing',
      'option `HOLDFAST_A\\u000aB` is not known, the nearest known name is `HOLDFAST_PREFIX`'
    ].join('\n')
  })
})
