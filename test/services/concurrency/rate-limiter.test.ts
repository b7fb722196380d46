import { createHash } from 'node:crypto'
import { Redis } from 'ioredis'
import t from 'tap'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import { createRateLimiter } from '../../../services/concurrency/rate-limiter.js'
import type { LimiterSettings, RateLimitedError } from '../../../services/concurrency/rate-limiter.js'
import { redisUrl, testPrefix, testRedis, until } from '../../helper.js'

const settings = { name: 'limiter test', points: 3, duration: 60_000, prefix: 'test', storeTimeout: 1_000 }
const create = (changes: Partial<LimiterSettings> = {}) => createRateLimiter({ ...settings, ...changes })
const refusal = (run: Promise<unknown>): Promise<RateLimitedError> => run.then(() => { throw new Error('it was not refused') }, (error: RateLimitedError) => error)

await t.test('points of a key are counted in memory, and the error says when they come back', async (t) => {
  let rejected = 0
  const limiter = create({ onRejected: () => rejected++ })
  t.match(await limiter.consume('a'), { limit: 3, remaining: 2 })
  t.match(await limiter.consume('a', 2), { limit: 3, remaining: 0 })
  const error = await refusal(limiter.consume('a'))
  t.ok(error instanceof Error)
  t.match(error, { code: 'FST_CONCURRENCY_RATE_LIMITED', statusCode: 429, limit: 3, remaining: 0 })
  t.ok(error.retryAfter > 59_000 && error.retryAfter <= 60_000)
  t.match(await limiter.consume('b'), { remaining: 2 })
  t.equal(rejected, 1)
})

await t.test('points that are no integer from 1 to the limit are refused: NaN would pass for ever', async (t) => {
  const limiter = create()
  for (const points of [0, -1, 1.5, NaN, 4, Infinity]) await t.rejects(limiter.consume('a', points), { code: 'FST_CONCURRENCY_OPTION_INVALID' })
  t.match(await limiter.consume('a'), { remaining: 2 })
})

await t.test('two instances over one Redis let through exactly the points, in windows that are no whole seconds', async (t) => {
  const prefix = testPrefix()
  const instance = () => create({ redis: testRedis(t), prefix, points: 50, duration: 60_500 })
  const [one, other] = [instance(), instance()]
  const outcomes = await Promise.allSettled(Array.from({ length: 200 }, (_, index) => (index % 2 === 0 ? one : other).consume('a')))
  t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 50)
  t.ok(outcomes.every((outcome) => outcome.status === 'fulfilled' || (outcome.reason as RateLimitedError).code === 'FST_CONCURRENCY_RATE_LIMITED'))
  const [key = ''] = await testRedis(t).keys(`${prefix}:*`)
  t.equal(key, `${prefix}:${createHash('sha256').update('a').digest('hex').slice(0, 32)}`, 'whose points they are is not to be read there')
  const left = await testRedis(t).pttl(key)
  t.ok(left > 55_000 && left <= 60_500, `${left} ms`)
})

await t.test('a window shorter than a second ends', async (t) => {
  const limiter = create({ redis: testRedis(t), prefix: testPrefix(), points: 1, duration: 100 })
  await limiter.consume('a')
  const { retryAfter } = await refusal(limiter.consume('a'))
  t.ok(retryAfter > 0 && retryAfter <= 100)
  await until('the window has ended', () => limiter.consume('a').then(() => true, () => false))
})

await t.test('another user of the library on the same client keeps its own script', async (t) => {
  const [redis, prefix] = [testRedis(t), testPrefix()]
  const theirs = new RateLimiterRedis({ storeClient: redis, points: 1, duration: 60, keyPrefix: `${prefix}:theirs` })
  await create({ redis, prefix }).consume('a')
  await theirs.consume('a')
  t.ok(await redis.pttl(`${prefix}:theirs:a`) > 50_000)
})

/** A client of a port where nothing listens. */
function away (t: { teardown: (fn: () => void) => void }): Redis {
  const redis = new Redis({ port: 1, lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 })
  redis.on('error', () => { /* what the test is about */ })
  t.teardown(() => { redis.disconnect() })
  return redis
}

await t.test('without Redis each instance counts for itself, and says so once', async (t) => {
  const told: unknown[] = []
  const limiter = create({ redis: away(t), onStoreState: (failure) => told.push(failure) })
  for (const remaining of [2, 1, 0]) t.match(await limiter.consume('a'), { remaining })
  await t.rejects(limiter.consume('a'), { code: 'FST_CONCURRENCY_RATE_LIMITED' })
  t.equal(told.length, 1)
})

await t.test('a limiter that rejects without Redis does', async (t) => {
  await t.rejects(create({ redis: away(t), onStoreFailure: 'reject' }).consume('a'), { code: 'FST_CONCURRENCY_LIMITER_UNAVAILABLE', statusCode: 503 })
})

await t.test('a Redis that does not answer is waited for no longer than storeTimeout, and counts again when it does', async (t) => {
  const [redis, blocker, told, prefix] = [testRedis(t), new Redis(redisUrl()), [] as unknown[], testPrefix()]
  t.teardown(() => blocker.quit())
  const limiter = create({ redis, prefix, storeTimeout: 10, onStoreState: (failure) => told.push(failure === null ? 'back' : 'gone') })
  const blocked = redis.blpop(`${prefix}:never`, 0) // what comes behind it on this connection waits
  t.match(await limiter.consume('a'), { remaining: 2 })
  t.strictSame(told, ['gone'])
  await blocker.rpush(`${prefix}:never`, 'now')
  await blocked
  await until('it counts in Redis again', async () => { await limiter.consume('b').catch(() => null); return told.includes('back') })
})

await t.test('a key that is no text is refused, and not taken for an outage of Redis', async (t) => {
  const states: unknown[] = []
  const limiter = create({ redis: testRedis(t), prefix: testPrefix(), onStoreState: (state) => states.push(state) })
  for (const key of [undefined, null, 7]) await t.rejects(limiter.consume(key as unknown as string), { code: 'FST_CONCURRENCY_OPTION_INVALID', message: /^limiter test: option `key` must be a string, got / })
  t.strictSame(states, [])
})
