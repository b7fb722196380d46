import Fastify from 'fastify'
import t from 'tap'
import scheduler from '../../../plugins/scheduler/index.js'
import type { DefinitionOptions, SchedulerOptions } from '../../../plugins/scheduler/index.js'
import lifecycle from '../../../plugins/lifecycle/index.js'
import { gate, testPool, testPrefix, testRedis } from '../../helper.js'
import { cluster } from './helper.js'

const code = 'FST_SCHEDULER_OPTION_INVALID'

await t.test('a wrong option of the plugin fails the boot', async (t) => {
  const needed = { redis: testRedis(t), postgres: await testPool(t) }
  const nodeRedis = { duplicate () {}, sendCommand () {} }
  const cases: Array<[options: object, message: string]> = [
    [{ tick: 99 }, 'option `tick` must be an integer from 100 to 2147483647 (ms), got `99` (number)'],
    [{ roles: [] }, "option `roles` must be an array of 'web', 'worker' or both, got [] (array)"],
    [{ roles: ['ticker'] }, "option `roles` must be an array of 'web', 'worker' or both, got [\"ticker\"] (array)"],
    [{ concurrency: 0 }, 'option `concurrency` must be an integer from 1 to 10000 (runs), got `0` (number)'],
    [{ lease: 10 }, 'option `lease` must be an integer from 1000 to 2147483647 (ms), got `10` (number)'],
    [{ redis: nodeRedis }, 'option `redis` must be an ioredis client, got an object'],
    [{ postgres: undefined }, 'option `postgres` must be a pg.Pool, got nothing'],
    [{ interval: 1 }, 'option `interval` is not known, expected one of redis, postgres, prefix, roles, tick, concurrency, lease, retention, closeTimeout, metrics'],
    [{ retention: 0 }, 'option `retention` must be an integer from 60000 to 316224000000 (ms), got `0` (number)']
  ]
  for (const [options, message] of cases) {
    const app = Fastify()
    await t.rejects(async () => { await app.register(scheduler, { ...needed, ...options } as SchedulerOptions) }, { code, message })
  }
  const redis = needed.redis.duplicate({ keyPrefix: 'a:', lazyConnect: true })
  await t.rejects(async () => { await Fastify().register(scheduler, { ...needed, redis }) }, { code: 'FST_SCHEDULER_KEY_PREFIX' })
})

await t.test('in a scope of the application it starts with it, with the lifecycle or without', async (t) => {
  const [redis, postgres] = [testRedis(t), await testPool(t)]
  for (const withLifecycle of [false, true]) {
    const app = Fastify()
    t.teardown(() => app.close())
    if (withLifecycle) await app.register(lifecycle, { signals: false })
    const ran = gate()
    app.register(async (scope) => {
      await scope.register(async (inner) => {
        await inner.register(scheduler, { redis, postgres, prefix: testPrefix(), tick: 100 })
        inner.scheduler.define({ name: 'job', every: 1_000 }, ran.open)
      })
    })
    await app.ready()
    await ran.opened
  }
})

await t.test('a wrong job fails the boot and is named', async (t) => {
  const app = await (await cluster(t)).app()
  const cases: Array<[options: object, message: string]> = [
    [{ cron: '* * * *' }, 'schedule `bad`: option `cron` must be a cron expression of 5 or 6 fields'],
    [{ cron: '0 0 30 2 *' }, 'it never comes'],
    [{ every: 10 }, 'schedule `bad`: option `every` must be an integer from 1000 to 2147483647 (ms), got `10` (number)'],
    [{ cron: '0 3 * * *', timezone: 'Mars/Olympus' }, "schedule `bad`: option `timezone` must be an IANA time zone, got 'Mars/Olympus' (string)"],
    [{ every: 1_000, overlap: 'queue' }, 'schedule `bad`: option `overlap` must be'],
    [{ every: 1_000, catchUp: { policy: 'some' } }, 'schedule `bad`: option `catchUp.policy` must be'],
    [{ every: 1_000, cron: '* * * * *' }, 'schedule `bad`: only one of the options `cron` and `every` may be given'],
    [{ every: 1_000, schema: { type: 'object' } }, 'schedule `bad`: option `payload` must fit `schema`'],
    [{ retries: -1 }, 'schedule `bad`: option `retries` must be']
  ]
  for (const [options, message] of cases) {
    t.throws(() => { app.scheduler.define({ name: 'bad', ...options } as DefinitionOptions, () => {}) }, { code, message: new RegExp(message.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')) })
  }
  t.throws(() => { app.scheduler.define({ name: 'bad' }, null as unknown as () => void) }, { code, message: 'schedule `bad`: its handler must be a function' })
})

await t.test('two jobs of one name, and one that comes too late, are refused', async (t) => {
  const app = await (await cluster(t)).app({ roles: ['web'] })
  app.scheduler.define({ name: 'job' }, () => {})
  t.throws(() => { app.scheduler.define({ name: 'job' }, () => {}) }, { code: 'FST_SCHEDULER_DUPLICATE' })
  await app.ready()
  t.throws(() => { app.scheduler.define({ name: 'late' }, () => {}) }, { code: 'FST_SCHEDULER_TOO_LATE' })
})
