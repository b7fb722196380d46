import { PrismaPg } from '@prisma/adapter-pg'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import type pg from 'pg'
import t from 'tap'
import type { Test } from 'tap'
import { migrate } from '../../migrations/index.js'
import idempotency from '../../plugins/idempotency/index.js'
import type { IdempotencyOptions } from '../../plugins/idempotency/index.js'
import locks from '../../plugins/locks/index.js'
import scheduler from '../../plugins/scheduler/index.js'
import { PrismaClient } from '../../prisma/generated/client.js'
import { faultProxy } from '../chaos/fault-proxy.js'
import { openPool, testDatabase, testPrefix, testRedis } from '../helper.js'
import { untilRun } from '../plugins/scheduler/helper.js'
import { urlOf } from '../services/locks/postgres/helper.js'

const emptyPool = async (t: Test): Promise<pg.Pool> => openPool(t, await testDatabase(t, 'template0'), 20)

function application (t: Test): FastifyInstance {
  const app = Fastify()
  t.teardown(() => app.close())
  return app
}

const send = (app: FastifyInstance) => app.inject({ method: 'POST', url: '/', headers: { 'idempotency-key': 'k' } })

await t.test('the plugins work in a database that has their tables and nothing else', async (t) => {
  const [postgres, redis, prefix, app] = [await emptyPool(t), testRedis(t), testPrefix(), application(t)]
  await migrate({ postgres })
  await app.register(idempotency, { store: { redis, postgres }, scope: 'public', prefix })
  await app.register(locks, { redis, postgres, prefix })
  await app.register(scheduler, { redis, postgres, prefix, tick: 100 })
  app.scheduler.define({ name: 'digest' }, async () => {})
  let runs = 0
  app.post('/', { config: { lock: { key: () => 'x', fencing: true }, idempotency: { guarantee: 'transactional' } } }, async ({ lock }, reply) => reply.transaction(async () => {
    runs++
    await app.scheduler.trigger('digest')
    return { status: 201, body: { token: String(lock?.token) } }
  }))
  const [first, second] = [await send(app), await send(app)]
  t.match([first.statusCode, first.json()], [201, { token: '1' }])
  t.match([second.statusCode, second.body, second.headers['idempotency-status']], [201, first.body, 'replayed'])
  t.equal(runs, 1)
  await untilRun(postgres, 'digest', 'done')
})

await t.test('without them idempotency refuses the boot: its requests would run unprotected', async (t) => {
  const pool = await emptyPool(t)
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
  t.teardown(() => prisma.$disconnect())
  for (const postgres of [pool, prisma]) {
    for (const store of [{ postgres }, { redis: testRedis(t), postgres }] as Array<IdempotencyOptions['store']>) {
      const message = /^option `store.postgres` must lead to a database with the tables of Holdfast, which `migrate` of holdfast\/migrations makes, got the error "(.|\n)*idempotency_records/
      await t.rejects(async () => { await application(t).register(idempotency, { store, scope: 'public' }) }, { code: 'FST_IDEMPOTENCY_OPTION_INVALID', message })
    }
  }
})

await t.test('without them the scheduler refuses to start', async (t) => {
  const app = application(t)
  await app.register(scheduler, { redis: testRedis(t), postgres: await emptyPool(t), prefix: testPrefix() })
  app.scheduler.define({ name: 'digest', every: 60_000 }, async () => {})
  await t.rejects(async () => { await app.ready() }, { code: 'FST_SCHEDULER_OPTION_INVALID', message: /^option `postgres` must lead to a database with the tables of Holdfast, .*schedules/ })
})

await t.test('a Postgres that is away, or does not answer, fails no boot', async (t) => {
  const pool = await emptyPool(t)
  await migrate({ postgres: pool })
  const proxy = await faultProxy(t, urlOf(pool))
  for (const fault of [() => { proxy.refuse() }, () => { proxy.blackHole() }]) {
    fault()
    const app = application(t)
    const postgres = openPool(t, proxy.url, 5)
    await app.register(idempotency, { store: { postgres }, scope: 'public' })
    app.post('/', () => 'done')
    proxy.heal()
    t.not((await send(app)).headers['idempotency-status'], 'bypassed')
  }
})
