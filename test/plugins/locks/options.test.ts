import Fastify from 'fastify'
import t from 'tap'
import locks from '../../../plugins/locks/index.js'
import type { LocksOptions } from '../../../plugins/locks/index.js'
import { testPool, testRedis, until } from '../../helper.js'
import { build } from './helper.js'

const redis = { duplicate () {}, defineCommand () {} }
const wrong: Array<[string, object]> = [
  ['redis', {}], ['redis', { redis: 'redis://x' }], ['redis', { redis: [] }], ['redis', { redis: [redis, redis] }], ['redis', { redis: null }], ['redis', { redis: { duplicate () {}, sendCommand () {} } }],
  ['postgres', { redis, postgres: 'postgres://x' }], ['postgres', { redis, postgres: {} }], ['postgres', { redis, directUrl: 'postgres://x' }],
  ['directUrl', { postgres: { query () {} } }], ['directUrl', { postgres: { $queryRawUnsafe () {} } }], ['directUrl', { postgres: { query () {} }, directUrl: 'mysql://x' }],
  ['prefix', { redis, prefix: '' }], ['prefix', { redis, prefix: 'a b' }],
  ['closeTimeout', { redis, closeTimeout: -1 }], ['metrics', { redis, metrics: {} }]
]
for (const [name, options] of wrong) {
  await t.test(`${name}: ${JSON.stringify(options)} fails the boot`, async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await t.rejects(async () => { await app.register(locks, options as LocksOptions) }, { code: 'FST_LOCKS_OPTION_INVALID', message: new RegExp(`^option \`${name}\` must be `) })
  })
}

await t.test('what is wrong is shown without passwords', async (t) => {
  const boot = (options: object) => async () => { await Fastify().register(locks, options as LocksOptions) }
  const client = { ...redis, options: { password: 'hunter2' } }
  for (const options of [{ redis: [client, client] }, { redis: 'redis://me:hunter2@cache:6379' }, { redis: ['redis://:hun@ter2@cache'] }, { redis, postgres: { query () {} }, directUrl: 'mysql://me:hunter2@db/x' }]) {
    const { message } = await boot(options)().then(() => new Error('it boots'), (error: unknown) => error as Error)
    t.match(message, /^option `(redis|directUrl)` must be .*, got /)
    t.notMatch(message, /ter2/)
  }
})

await t.test('a boot that fails leaves no connection', async (t) => {
  const postgres = await testPool(t)
  const app = Fastify()
  app.decorate('locks', null as never)
  await t.rejects(async () => { await app.register(locks, { redis: testRedis(t), postgres }) }, { code: 'FST_ERR_DEC_ALREADY_PRESENT' })
  await app.close()
  const broken = { ...redis, duplicate () { throw new Error('it cannot') } }
  await t.rejects(async () => { await Fastify().register(locks, { redis: broken, postgres } as unknown as LocksOptions) }, { message: 'it cannot' })
  await until('none is left', async () => (await postgres.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> ''")).rowCount === 0)
})

await t.test('an unknown option fails the boot', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(async () => { await app.register(locks, { redis: testRedis(t), retries: 3 } as LocksOptions) }, { message: /option `retries` is not known/ })
})

const key = (): string => 'a'
const wrongRoutes: Array<[string, unknown]> = [
  ['config.lock', true], ['config.lock', null], ['config.lock.key', {}], ['config.lock.key', { key: 'a' }],
  ['config.lock.onBusy', { key, onBusy: 404 }], ['config.lock.wait', { key, wait: -1 }], ['config.lock.ttl', { key, ttl: 10 }],
  ['config.lock.fencing', { key, fencing: true }], ['config.lock.backend', { key, backend: 'postgres' }], ['config.lock.backend', { key, backend: 'mongo' }]
]
for (const [name, lock] of wrongRoutes) {
  await t.test(`${name}: ${JSON.stringify(lock)} fails the boot`, async (t) => {
    const app = await build(t)
    t.throws(() => app.post('/pay', { config: { lock: lock as never } }, async () => 'ok'), { code: 'FST_LOCKS_OPTION_INVALID', message: new RegExp(`route POST /pay: option \`${name}\` must be `) })
  })
}

await t.test('what needs Postgres is refused without it, at run time too', async (t) => {
  const app = await build(t)
  await t.rejects(app.locks.using('a', { backend: 'postgres' }, () => {}), { code: 'FST_LOCKS_USAGE' })
  await t.rejects(app.locks.using('a', { fencing: true }, () => {}), { code: 'FST_LOCKS_USAGE' })
})
