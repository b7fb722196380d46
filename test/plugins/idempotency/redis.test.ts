import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import t from 'tap'
import idempotency from '../../../plugins/idempotency/index.js'
import type { IdempotencyOptions } from '../../../plugins/idempotency/index.js'
import { redisUrl, testPrefix, testRedis, until } from '../../helper.js'
import { testPool, gate, post, principal } from './helper.js'

async function build (t: Test, options: Partial<IdempotencyOptions> & Pick<IdempotencyOptions, 'store'>): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(idempotency, { principal, prefix: testPrefix(), ...options })
  app.post('/', async (request, reply) => reply.code(201).header('location', '/1').send({ a: 'ü' }))
  return app
}

/** The commands that clients, not scripts, send for records with the prefix `mark` while `work` is done. */
async function commandsOf (t: Test, mark: string, work: () => Promise<unknown>): Promise<string[]> {
  const watcher = testRedis(t)
  const monitor = await watcher.monitor()
  const commands: string[] = []
  const record = new RegExp(`${mark}:[0-9a-f]{64}`) // and not what looks now and then whether Redis is there
  const ended = gate()
  monitor.on('monitor', (time: string, [name = '', ...args]: string[], source: string) => {
    if (args.includes(`${mark}-end`)) ended.open()
    else if (source !== 'lua' && args.some((arg) => record.test(arg))) commands.push(name.toLowerCase())
  })
  await work()
  await watcher.echo(`${mark}-end`)
  await ended.opened
  monitor.disconnect()
  return commands
}

await t.test('a first request costs two commands, with a release too, a replay one, and a duplicate of a request in this process none', async (t) => {
  const prefix = testPrefix()
  const app = await build(t, { store: { redis: testRedis(t) }, prefix, localCache: { maxRecords: 0 } })
  const [entered, finish] = [gate(), gate()]
  app.post('/slow', async () => {
    entered.open()
    await finish.opened
    return 'ok'
  })
  app.post('/failing', async (request, reply) => reply.code(500).send())
  const request = (key: string, url = '/'): Promise<unknown> => post(app, url, { headers: { 'idempotency-key': key } })
  const slow = request('slow', '/slow')
  await entered.opened
  for (const url of ['/', '/slow', '/failing']) await request(url === '/slow' ? 'slow' : 'warm', url) // so that the scripts are loaded
  t.same(await commandsOf(t, prefix, () => request('a')), ['evalsha', 'evalsha'])
  t.same(await commandsOf(t, prefix, () => request('a')), ['evalsha'])
  t.same(await commandsOf(t, prefix, () => request('slow', '/slow')), [])
  t.same(await commandsOf(t, prefix, () => request('b', '/failing')), ['evalsha', 'evalsha'])
  finish.open()
  await slow
})

await t.test('with Postgres behind it, Redis gets no more commands, and for a replay from memory none', async (t) => {
  const prefix = testPrefix()
  const app = await build(t, { store: { redis: testRedis(t), postgres: await testPool(t) }, prefix })
  await post(app, '/')
  const request = (): Promise<unknown> => post(app, '/', { headers: { 'idempotency-key': 'a' } })
  t.same(await commandsOf(t, prefix, request), ['evalsha', 'evalsha'])
  t.same(await commandsOf(t, prefix, request), ['evalsha'])
  t.same(await commandsOf(t, prefix, request), [])
})

await t.test('keys are the prefix and 64 hex digits, and live for the retention', async (t) => {
  const [redis, prefix] = [testRedis(t), testPrefix()]
  const app = await build(t, { store: { redis }, prefix, retention: 100_000 })
  await post(app, '/', { headers: { 'idempotency-key': 'a secret'.replace(' ', '-') } })
  const keys = (await redis.keys(`${prefix}*`)).filter((key) => key !== `${prefix}:generation`)
  t.match(keys, [new RegExp(`^${prefix}:[0-9a-f]{64}$`)])
  const life = await redis.pttl(keys[0] ?? '')
  t.ok(life > 90_000 && life <= 100_000, `PTTL ${life}`)
})

await t.test('an emptied script cache costs no request', async (t) => {
  const redis = testRedis(t)
  const app = await build(t, { store: { redis } })
  await redis.script('FLUSH')
  t.equal((await post(app, '/')).headers['idempotency-status'], 'created')
  t.equal((await post(app, '/')).headers['idempotency-status'], 'replayed')
})

await t.test('a client with a key prefix, a database or a lazy connection of its own will do', async (t) => {
  for (const options of [{ keyPrefix: `${testPrefix()}:` }, { db: 3 }, { lazyConnect: true }]) {
    const redis = new Redis(redisUrl(), options)
    t.teardown(() => { redis.disconnect() })
    const app = await build(t, { store: { redis } })
    t.equal((await post(app, '/')).headers['idempotency-status'], 'created')
    const replay = await post(app, '/')
    t.equal(replay.headers['idempotency-status'], 'replayed')
    t.equal(replay.payload, '{"a":"ü"}')
  }
})

await t.test('after close no connection of the plugin is left, and the application\'s own client and pool work on', async (t) => {
  const connectionName = testPrefix()
  const [redis, postgres] = [new Redis(redisUrl(), { connectionName }), await testPool(t)]
  t.teardown(() => redis.quit())
  const count = async (): Promise<number> => String(await redis.client('LIST')).split(`name=${connectionName} `).length - 1
  const app = await build(t, { store: { redis, postgres } })
  await post(app, '/')
  t.equal(await count(), 2)
  await app.close()
  await until('the connection is gone', async () => await count() === 1)
  t.equal(await redis.ping(), 'PONG')
  t.equal((await postgres.query('SELECT 1 AS one')).rowCount, 1)
})

await t.test('a boot without Redis is quick, and its requests are bypassed or refused', async (t) => {
  const redis = new Redis('redis://127.0.0.1:1', { lazyConnect: true })
  const start = performance.now()
  const app = await build(t, { store: { redis } })
  app.post('/required', { config: { idempotency: { required: true } } }, async () => 'ok')
  t.equal((await post(app, '/')).headers['idempotency-status'], 'bypassed')
  t.equal((await post(app, '/required')).statusCode, 503)
  t.ok(performance.now() - start < 5_000)
})
