import { once } from 'node:events'
import Fastify from 'fastify'
import t from 'tap'
import concurrency from '../../../plugins/concurrency/index.js'
import type { ConcurrencyOptions } from '../../../plugins/concurrency/index.js'
import { gate } from '../../services/concurrency/helper.js'
import { until } from '../../helper.js'
import { build, shown } from './helper.js'

const down = (): never => { throw new Error('down') }

await t.test('what is named in the configuration is there from boot, always the same', async (t) => {
  const { app: { concurrency } } = await build(t)
  for (const name of ['database', 'websocket', 'scheduler']) t.equal(concurrency.lock(name), concurrency.lock(name))
  t.equal(await concurrency.lock('scheduler').run('job', () => 'ran'), 'ran')
  t.equal(await concurrency.semaphore('database').run(() => 'ran'), 'ran')
  t.equal(await concurrency.breaker('database').run(() => 'ran'), 'ran')
  t.match(await concurrency.limiter('api').consume('me'), { limit: 2, remaining: 1 })
  t.equal(await concurrency.retry(() => 'ran'), 'ran')
  t.equal(await concurrency.debounce(() => 'ran', 1)(), 'ran')
  t.equal(await concurrency.throttle(() => 'ran', 1)(), 'ran')
  t.equal(await concurrency.once(async () => 'ran')(), 'ran')
})

await t.test('an unknown name throws an error that names the known ones', async (t) => {
  const { app: { concurrency } } = await build(t)
  t.throws(() => concurrency.lock('db'), { code: 'FST_CONCURRENCY_UNKNOWN_NAME', message: 'there is no lock `db`, expected one of `database`, `websocket`, `scheduler`' })
  t.throws(() => concurrency.semaphore('toString'), { code: 'FST_CONCURRENCY_UNKNOWN_NAME' })
  t.throws(() => concurrency.limiter('db'), { message: /expected one of `api`/ })
  t.throws(() => concurrency.breaker('db'), { code: 'FST_CONCURRENCY_UNKNOWN_NAME' })
  await t.rejects(concurrency.guard('db', () => 'ran'), { code: 'FST_CONCURRENCY_UNKNOWN_NAME', message: /no semaphore or breaker `db`/ })
})

await t.test('the guard puts the semaphore and the breaker of a name in front of the work', async (t) => {
  const { app: { concurrency }, registry } = await build(t)
  const finish = gate()
  const running = ['a', 'b'].map((name) => concurrency.guard('database', () => finish.opened.then(() => name)))
  const waiting = concurrency.guard('database', down)
  await until('one waits', async () => await shown(registry, 'concurrency_queue_length{name="database"}') === 1)
  finish.open()
  t.strictSame(await Promise.all(running), ['a', 'b'])
  await t.rejects(waiting, { message: 'down' })
  await t.rejects(concurrency.guard('database', () => t.fail('it was called')), { code: 'FST_CONCURRENCY_CIRCUIT_OPEN', statusCode: 503 })
  t.equal(await shown(registry, 'circuit_breaker_state{name="database"}'), 2)
  t.equal(await shown(registry, 'concurrency_queue_length{name="database"}'), 0)
})

await t.test('a guard within a guard has its slot already, and work that is overdue is a failure of what it calls', async (t) => {
  const { app: { concurrency } } = await build(t, { semaphores: { database: 1 } })
  t.equal(await concurrency.guard('database', () => concurrency.guard('database', () => 'ran', { timeout: 0 })), 'ran')
  const aborting = new AbortController()
  await t.rejects(concurrency.guard('database', (signal) => { aborting.abort(new Error('gone')); signal.throwIfAborted() }, { signal: aborting.signal }), { message: 'gone' })
  t.equal(concurrency.breaker('database').state(), 'closed')
  const overdue = async (signal: AbortSignal): Promise<void> => {
    await new Promise((resolve) => { signal.addEventListener('abort', resolve) })
    signal.throwIfAborted()
  }
  await t.rejects(concurrency.guard('database', overdue, { maxExecution: 1 }), { code: 'FST_CONCURRENCY_OVERDUE' })
  t.equal(concurrency.breaker('database').state(), 'open')
})

await t.test('a guard without a semaphore, and one within another, have the options of runs too', async (t) => {
  const { app: { concurrency: { guard } } } = await build(t, { semaphores: { both: 1 }, breakers: { alone: { threshold: 5, halfOpenAfter: 60_000 } } })
  const overdue = async (signal: AbortSignal): Promise<void> => {
    await once(signal, 'abort')
    signal.throwIfAborted()
  }
  await t.rejects(guard('alone', overdue, { maxExecution: 20 }), { code: 'FST_CONCURRENCY_OVERDUE' })
  await t.rejects(guard('both', () => guard('both', overdue, { maxExecution: 20 })), { code: 'FST_CONCURRENCY_OVERDUE' })
  for (const wrong of [{ maxExecuton: 20 }, { timeout: 'x' }] as object[]) {
    await t.rejects(guard('alone', () => t.fail('it ran'), wrong), { code: 'FST_CONCURRENCY_OPTION_INVALID', message: /^guard alone: / })
    await t.rejects(guard('both', () => guard('both', () => t.fail('it ran'), wrong)), { code: 'FST_CONCURRENCY_OPTION_INVALID' })
  }
})

await t.test('what outlives the work of a guard has no slot any more', async (t) => {
  const { app: { concurrency } } = await build(t, { semaphores: { database: 1 } })
  const [ended, finish] = [gate(), gate()]
  let inBackground: Promise<unknown> = Promise.resolve()
  await concurrency.guard('database', () => { inBackground = ended.opened.then(() => concurrency.guard('database', () => 'ran', { timeout: 0 })) })
  const other = concurrency.guard('database', () => finish.opened)
  ended.open()
  await t.rejects(inBackground, { code: 'FST_CONCURRENCY_TIMEOUT' })
  finish.open()
  await other
})

await t.test('a request that was accepted keeps its locks, slots and guards while the server closes; delays end, and what says so', async (t) => {
  const { app } = await build(t)
  const { concurrency } = app
  const [finish, entered] = [gate(), gate()]
  app.get('/', async () => {
    entered.open()
    await finish.opened
    return [await concurrency.lock('websocket').run('b', () => 'locked'), await concurrency.semaphore('database').run(() => 'in a slot'), await concurrency.guard('database', () => 'guarded')]
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const address = app.server.address() as { port: number }
  const answer = fetch(`http://127.0.0.1:${address.port}/`)
  const running = concurrency.lock('database').run('a', () => finish.opened.then(() => 'ended'))
  const waiting = concurrency.lock('database').run('a', () => 'ran')
  const leaving = concurrency.lock('database').run('a', () => 'ran', { whileClosing: false })
  const delayed = [concurrency.debounce(() => 'ran', 60_000)(), concurrency.retry(down, { minDelay: 2_147_483_647, maxDelay: 2_147_483_647 })]
  await entered.opened
  const closed = app.close()
  for (const wait of [leaving, ...delayed]) await t.rejects(wait, { code: 'FST_CONCURRENCY_CLOSED' })
  await t.rejects(concurrency.semaphore('database').run(() => 'ran', { whileClosing: false }), { code: 'FST_CONCURRENCY_CLOSED' })
  finish.open()
  t.strictSame(await Promise.all([running, waiting]), ['ended', 'ran'])
  t.strictSame(await (await answer).json(), ['locked', 'in a slot', 'guarded'])
  await closed
  for (const run of [concurrency.guard('database', () => 'ran'), concurrency.lock('database').run('a', () => 'ran')]) await t.rejects(run, { code: 'FST_CONCURRENCY_CLOSED' })
})

await t.test('what nobody is answered for waits no longer than until the requests are answered', async (t) => {
  const { app } = await build(t)
  const [finish, lock] = [gate(), app.concurrency.lock('database')]
  const holding = lock.run('a', () => finish.opened)
  const waiting = t.rejects(lock.run('a', () => 'ran'), { code: 'FST_CONCURRENCY_CLOSED' })
  await app.close()
  await waiting
  finish.open()
  await holding
})

const wrong: Array<[string, object]> = [
  ['locks', { locks: 'database' }], ['locks', { locks: ['a b'] }],
  ['semaphores', { semaphores: ['database'] }], ['semaphores', { semaphores: { 'a"b': 1 } }], ['semaphores.database', { semaphores: { database: 0 } }],
  ['limiters.api', { limiters: { api: 100 } }], ['limiters.api.points', { limiters: { api: { points: 0, duration: 1 } }, semaphores: {} }],
  ['limiters.api.duration', { limiters: { api: { points: 1 } } }], ['limiters.api.onStoreFailure', { limiters: { api: { points: 1, duration: 1, onStoreFailure: 'proceed' } } }],
  ['breakers.database.threshold', { breakers: { database: { halfOpenAfter: 1 } } }], ['breakers.database.halfOpenAfter', { breakers: { database: { threshold: 1, halfOpenAfter: Infinity } } }],
  ['breakers.database.isFailure', { breakers: { database: { threshold: 1, halfOpenAfter: 1, isFailure: true } } }],
  ['redis', { redis: 'redis://x' }], ['prefix', { prefix: 'a b' }], ['storeTimeout', { storeTimeout: 0 }], ['limiterKey', { limiterKey: 'ip' }], ['docs', { docs: '' }], ['metrics', { metrics: true }]
]

await t.test('wrong options fail the boot and are named', async (t) => {
  for (const [name, options] of wrong) await t.rejects(boot(options), { code: 'FST_CONCURRENCY_OPTION_INVALID', message: new RegExp(`^option \`${name.replaceAll('.', '\\.')}\` must `) }, name)
})

await t.test('unknown options fail the boot and are told what there is', async (t) => {
  await t.rejects(boot({ mutexes: [] }), { code: 'FST_CONCURRENCY_OPTION_INVALID', message: /option `mutexes` is not known, expected one of locks, semaphores/ })
  await t.rejects(boot({ limiters: { api: { points: 1, duration: 1, ttl: 1 } } }), { message: /option `limiters\.api\.ttl` is not known, expected one of points, duration/ })
  await t.resolves(boot({}))
})

async function boot (options: object): Promise<void> {
  const app = Fastify()
  try {
    await app.register(concurrency, options as ConcurrencyOptions)
  } finally {
    await app.close()
  }
}
