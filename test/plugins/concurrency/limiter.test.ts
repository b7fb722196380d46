import Fastify from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import concurrency from '../../../plugins/concurrency/index.js'
import { testPrefix, testRedis } from '../../helper.js'
import { build, named, shown } from './helper.js'

await t.test('a limited route says what remains, and answers 429 with a problem document when nothing does', async (t) => {
  const { app, registry } = await build(t)
  let runs = 0
  app.get('/', { config: { limiter: 'api' } }, async () => ++runs)
  const [first, second, third] = [await app.inject('/'), await app.inject('/'), await app.inject('/')]
  t.match(first.headers, { 'ratelimit-policy': '"api";q=2;w=60', ratelimit: '"api";r=1;t=60' })
  t.match(second.headers, { ratelimit: '"api";r=0;t=60' })
  t.equal(third.statusCode, 429)
  t.match(third.headers, { 'ratelimit-policy': '"api";q=2;w=60', ratelimit: '"api";r=0;t=60', 'retry-after': '60', 'content-type': /^application\/problem\+json/, 'cache-control': 'no-store' })
  t.match(third.json(), { type: '/problems/concurrency-rate-limited', title: 'Too Many Requests', status: 429, code: 'FST_CONCURRENCY_RATE_LIMITED' })
  t.equal(runs, 2)
  t.equal(await shown(registry, 'rate_limiter_rejections_total{name="api"}'), 1)
})

await t.test('other routes are not limited, and one that says false is not', async (t) => {
  const { app } = await build(t)
  app.get('/', async () => 'ok')
  app.get('/off', { config: { limiter: false } }, async () => 'ok')
  for (const url of ['/', '/off', '/missing']) t.notOk('ratelimit' in (await app.inject(url)).headers)
})

await t.test('a route has a key and a price of its own; HEAD takes from its GET once', async (t) => {
  const { app } = await build(t, { limiterKey: ({ headers }) => String(headers['x-user']) })
  app.get('/', { config: { limiter: 'api' } }, async () => 'ok')
  app.get('/dear', { config: { limiter: { name: 'api', key: () => 'dear', points: 2 } } }, async () => 'ok')
  const get = (url: string, user: string, method: 'GET' | 'HEAD' = 'GET') => app.inject({ method, url, headers: { 'x-user': user } })
  t.match((await get('/', '1', 'HEAD')).headers, { ratelimit: /;r=1;/ })
  t.match((await get('/', '1')).headers, { ratelimit: /;r=0;/ })
  t.match((await get('/', '2')).headers, { ratelimit: /;r=1;/ })
  t.match((await get('/dear', '2')).headers, { ratelimit: /;r=0;/ })
  t.equal((await get('/dear', '3')).statusCode, 429)
})

await t.test('two applications over one Redis count together', async (t) => {
  const options = { prefix: testPrefix(), limiters: { api: { points: 10, duration: 60_000 } } }
  const apps = [(await build(t, { ...options, redis: testRedis(t) })).app, (await build(t, { ...options, redis: testRedis(t) })).app]
  for (const app of apps) app.get('/', { config: { limiter: 'api' } }, async () => 'ok')
  const statuses = await Promise.all(apps.flatMap((app) => Array.from({ length: 20 }, async () => (await app.inject('/')).statusCode)))
  t.equal(statuses.filter((status) => status === 200).length, 10)
  t.equal(statuses.filter((status) => status === 429).length, 30)
})

await t.test('without Redis a limiter that rejects answers 503 with a problem document', async (t) => {
  const redis = new Redis({ port: 1, lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 })
  redis.on('error', () => { /* what the test is about */ })
  const { app } = await build(t, { redis, limiters: { api: { points: 1, duration: 1_000, onStoreFailure: 'reject' } } })
  app.get('/', { config: { limiter: 'api' } }, async () => 'ok')
  const response = await app.inject('/')
  t.match([response.statusCode, response.headers['retry-after'], response.json()], [503, '1', { code: 'FST_CONCURRENCY_LIMITER_UNAVAILABLE' }])
  redis.disconnect()
})

await t.test('a limiter that is unknown or wrong fails the boot', async (t) => {
  const { app } = await build(t)
  const wrong: Array<[unknown, RegExp]> = [
    ['db', /route GET \/: option `config\.limiter` must name one of the limiters api, got 'db'/], [true, /must be a name, an object or false, got `true`/],
    [{}, /`config\.limiter\.name` must be .*, got nothing/], [{ name: 'api', points: 3 }, /must be at most what the limiter has \(2\)/], [{ name: 'api', key: 'ip' }, /`config\.limiter\.key` must be a function/],
    [{ name: 'api', max: 1 }, /`config\.limiter\.max` is not known/]
  ]
  for (const [limiter, message] of wrong) t.throws(() => app.get('/', { config: { limiter: limiter as string } }, async () => 'ok'), { code: 'FST_CONCURRENCY_OPTION_INVALID', message })
})

await t.test('a route that was declared too early to be seen answers 500 instead of being unlimited', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(concurrency, named)
  app.get('/', { config: { limiter: 'api' } }, async () => 'ok')
  t.match((await app.inject('/')).json(), { code: 'FST_CONCURRENCY_NOT_WIRED' })
})
