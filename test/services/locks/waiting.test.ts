import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createLocks } from '../../../services/locks/locks.js'
import { noObserver } from '../../../services/locks/observer.js'
import { silentLog } from '../../../services/log.js'
import { fairNow } from '../../fair-clock.js'
import { until } from '../../helper.js'
import { keyOf, locked, otherProcess } from './helper.js'

await t.test('a busy lock is waited for until the deadline, and not a moment longer', async (t) => {
  const { locks, clients: [client] } = await locked(t)
  const grant = await locks.acquire('a')
  const [start, fair] = [performance.now(), fairNow()]
  await t.rejects(locks.using('a', { wait: 300 }, () => t.fail('it ran')), { code: 'FST_LOCKS_TIMEOUT', statusCode: 503, names: ['a'] })
  const waited = performance.now() - start
  t.ok(waited > 290 && fairNow() - fair < 500, `${waited} ms`)
  t.same(await locks.tryUsing('a', {}, () => t.fail('it ran')), { acquired: false })
  await grant.release()
  t.same(await client?.keys('*'), [], 'who waited has left nothing')
  t.equal(locks.waiters('redis'), 0)
})

await t.test('the signal of the caller ends the wait at once', async (t) => {
  const { locks, clients: [client] } = await locked(t)
  const grant = await locks.acquire('a')
  const controller = new AbortController()
  const waiting = locks.using('a', { wait: 10_000, signal: controller.signal }, () => t.fail('it ran'))
  await until('it waits', () => locks.waiters('redis') === 1)
  const start = fairNow()
  controller.abort(new Error('enough'))
  await t.rejects(waiting, { code: 'FST_LOCKS_ABORTED', cause: { message: 'enough' } })
  t.ok(fairNow() - start < 50)
  await t.rejects(locks.using('b', { signal: controller.signal }, () => t.fail('it ran')), { code: 'FST_LOCKS_ABORTED', attempts: 0 })
  await grant.release()
  t.same(await client?.keys('*'), [])
})

await t.test('what is granted after the wait has ended is given back', async (t) => {
  const { locks, servers: [server], clients: [client] } = await locked(t)
  await locks.using('warm', {}, () => {})
  server?.signal('SIGSTOP')
  const start = fairNow()
  await t.rejects(locks.using('a', { wait: 100 }, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' })
  t.ok(fairNow() - start < 200)
  server?.signal('SIGCONT')
  await until('its key is gone', async () => await client?.exists(keyOf('a')) === 0)
  await locks.close(0)
  t.equal(await client?.exists(keyOf('a')), 0)
})

await t.test('a grant that comes when its ttl is nearly over is none', async (t) => {
  const { locks, servers: [server], clients: [client] } = await locked(t)
  await locks.using('warm', {}, () => {})
  server?.signal('SIGSTOP')
  const waiting = locks.using('a', { ttl: 100, wait: 0 }, () => t.fail('it ran'))
  setTimeout(() => { server?.signal('SIGCONT') }, 150) // within the time that a node has for its answer
  await t.rejects(waiting, { code: 'FST_LOCKS_UNAVAILABLE', cause: { message: /longer to grant the lock than its ttl/ } })
  t.equal(await client?.exists(keyOf('a')), 0)
})

await t.test('a release wakes who waits in another process, long before its next look', async (t) => {
  const { locks, servers } = await locked(t)
  const other = await otherProcess(t, servers)
  const delays: number[] = []
  for (let round = 0; round < 5; round++) {
    other.order({ do: 'hold' })
    await other.told('held')
    const waiting = locks.using('held', { wait: 10_000 }, () => performance.timeOrigin + performance.now())
    await until('it waits', () => locks.waiters('redis') === 1)
    await sleep(1_600) // by now it looks every 250 to 500 ms only
    other.order({ do: 'release' })
    const [woken, released] = await Promise.all([waiting, other.told('released')])
    delays.push(woken - Number(released))
  }
  const median = delays.sort((a, b) => a - b)[2] ?? Infinity
  t.comment(`handed over after ${delays.map((ms) => ms.toFixed(1)).join(', ')} ms`)
  t.ok(median < 25, `${median} ms`)
})

await t.test('a lost message delays, and loses nothing', async (t) => {
  const { backend } = await locked(t)
  const deaf = { ...backend, subscribe: () => Promise.reject(new Error('no subscription')) }
  const locks = createLocks({ backends: [deaf], nextToken: null, log: silentLog, observer: noObserver })
  const grant = await locks.acquire('a')
  const waiting = locks.using('a', { wait: 5_000 }, () => 'mine')
  await until('it waits', () => locks.waiters('redis') === 1)
  await grant.release()
  t.equal(await waiting, 'mine')
})

await t.test('of those who wait in one process one asks', async (t) => {
  const { backend } = await locked(t)
  let attempts = 0
  const counting: typeof backend = { ...backend, attempt (...args) { attempts++; return backend.attempt(...args) } }
  const locks = createLocks({ backends: [counting], nextToken: null, log: silentLog, observer: noObserver })
  const grant = await locks.acquire('a')
  const order: number[] = []
  const waiting = Array.from({ length: 50 }, (_, index) => locks.using('a', { wait: 20_000 }, () => { order.push(index) }))
  await until('all wait', () => locks.waiters('redis') === 50)
  attempts = 0
  await grant.release()
  await Promise.all(waiting)
  t.ok(attempts < 150, `${attempts} attempts for 50 grants`)
  t.same(order, Array.from({ length: 50 }, (_, index) => index), 'in the order in which they came')
})

await t.test('two processes of 20 workers each count exactly', async (t) => {
  const { servers, clients: [client] } = await locked(t)
  const others = await Promise.all([otherProcess(t, servers), otherProcess(t, servers)])
  for (const other of others) other.order({ do: 'count', workers: 20, rounds: 10 })
  for (const other of others) await other.told('counted')
  t.equal(await client?.get('counter'), '400')
})

await t.test('a stop refuses new locks, ends the waits, and leaves what is held', async (t) => {
  const { locks, clients: [client] } = await locked(t)
  let finish = (): void => {}
  const running = locks.using('a', {}, () => new Promise<void>((resolve) => { finish = resolve }))
  await until('it is held', () => locks.held('redis') === 1)
  const waiting = locks.using('a', { wait: 10_000 }, () => t.fail('it ran'))
  await until('it waits', () => locks.waiters('redis') === 1)
  locks.drain()
  await t.rejects(waiting, { code: 'FST_LOCKS_ABORTED' })
  await t.rejects(locks.acquire('b'), { code: 'FST_LOCKS_ABORTED' })
  t.equal(await client?.exists(keyOf('a')), 1)
  const closing = locks.close(5_000)
  await sleep(50) // for it to be given back, wrongly
  t.equal(await client?.exists(keyOf('a')), 1, 'nothing is given back under running work')
  finish()
  await Promise.all([running, closing])
  t.equal(await client?.exists(keyOf('a')), 0)
})

await t.test('work that does not end is told, and its lock ends with its ttl', async (t) => {
  const { locks, clients: [client] } = await locked(t)
  const { signal } = await locks.acquire('a')
  await locks.close(50)
  t.equal(signal.aborted, true)
  t.equal(await client?.exists(keyOf('a')), 1)
})
