import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { Registry } from 'prom-client'
import t from 'tap'
import { gate, redisUrl, testPool, testPrefix, until } from '../../helper.js'
import { lockSessions } from '../../services/locks/postgres/helper.js'
import { build, untilWaiting } from './helper.js'

await t.test('a stop ends the waits, and gives back what is held when its work has ended', async (t) => {
  const [redis, prefix] = [new Redis(redisUrl()), testPrefix()]
  t.teardown(() => redis.quit())
  const metrics = new Registry()
  const app = await build(t, { redis, prefix, metrics })
  let finish = (): void => {}
  const running = app.locks.using('a', {}, () => new Promise<void>((resolve) => { finish = resolve }))
  await until('it is held', () => redis.exists(`${prefix}:{locks}:a`).then((found) => found === 1))
  const waiting = t.rejects(app.locks.acquire('a', { wait: 10_000 }), { code: 'FST_LOCKS_ABORTED' })
  await untilWaiting(metrics, 1)
  const closing = app.close()
  await waiting
  await t.rejects(app.locks.acquire('b'), { code: 'FST_LOCKS_ABORTED' })
  await sleep(50) // for it to be given back, wrongly
  t.equal(await redis.exists(`${prefix}:{locks}:a`), 1)
  finish()
  await running
  await closing
  t.equal(await redis.exists(`${prefix}:{locks}:a`), 0)
  t.equal(redis.status, 'ready', 'the client of the application stays open')
})

await t.test('a request that waits for a lock does not hold up the stop', async (t) => {
  const metrics = new Registry()
  const app = await build(t, { metrics })
  app.get('/', async () => { await app.locks.acquire('a', { wait: 20_000 }) })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const grant = await app.locks.acquire('a')
  const answer = fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })
  await untilWaiting(metrics, 1)
  const closing = app.close()
  const response = await answer
  t.equal(response.status, 503)
  t.match(await response.json(), { code: 'FST_LOCKS_ABORTED' })
  await grant.release()
  await closing
})

await t.test('a session lock whose work goes on after the stop stays until that ends, and its connection with it', async (t) => {
  const [postgres, prefix, work] = [await testPool(t), testPrefix(), gate()]
  const app = await build(t, { postgres, prefix, closeTimeout: 0 })
  const other = await build(t, { postgres, prefix })
  const running = t.rejects(app.locks.using('a', { backend: 'postgres' }, () => work.opened), { code: 'FST_LOCKS_LOST' })
  const [isHeld, isFree] = [() => other.locks.isLocked('a'), async () => (await other.locks.tryUsing('a', { backend: 'postgres' }, () => {})).acquired]
  await until('it is held', isHeld)
  await app.close()
  t.same([await isHeld(), await isFree()], [true, false])
  work.open()
  await running
  t.equal(await isFree(), true)
  await until('its connection is closed', async () => (await lockSessions(postgres)).length === 1)
})

await t.test('a transaction that is still busy does not hold up the stop', async (t) => {
  const postgres = await testPool(t)
  const app = await build(t, { postgres })
  const [client, blocking] = [await postgres.connect(), await postgres.connect()]
  await blocking.query('SELECT pg_advisory_lock(1)')
  await client.query('BEGIN')
  const busy = client.query('SELECT pg_advisory_lock(1)')
  await t.rejects(app.locks.advisory.tryLock('a', { transaction: client, timeout: 50 }), { code: 'FST_LOCKS_UNAVAILABLE' })
  let isClosed = false
  const closing = app.close().then(() => { isClosed = true })
  await until('it is closed', () => isClosed, 2_000).catch(() => {})
  t.equal(isClosed, true)
  await blocking.query('SELECT pg_advisory_unlock(1)')
  await Promise.all([busy, closing])
  for (const each of [client, blocking]) each.release(true)
})
