import { once } from 'node:events'
import t from 'tap'
import { faultProxy } from '../../../chaos/fault-proxy.js'
import { fairNow } from '../../../fair-clock.js'
import { testPool, until } from '../../../helper.js'
import { lockSessions, openBackend, openLocks, urlOf } from './helper.js'

const limits = { heartbeat: 100, timeout: 300 }

await t.test('a connection that died without a word: the holder is told within heartbeat and timeout, before anybody else has its lock', async (t) => {
  const pool = await testPool(t)
  const proxy = await faultProxy(t, urlOf(pool))
  const [here, there] = [openLocks(t, pool, { ...limits, connection: { connectionString: proxy.url } }), openLocks(t, pool)]
  const grant = await here.locks.acquire('one')
  proxy.halfOpen()
  const start = fairNow()
  await once(grant.signal, 'abort')
  t.ok(fairNow() - start < 1_000, 'in time')
  t.match(grant.signal.reason, { code: 'FST_LOCKS_LOST', cause: { message: 'Postgres did not answer for 300 ms' } })
  t.throws(grant.assertHeld, { code: 'FST_LOCKS_LOST' })
  t.equal(await there.tryLock('one', { timeout: 0 }), null, 'Postgres has not missed the holder yet')
  t.equal(await here.tryLock('one', { timeout: 0 }), null, 'a session of the same process is another session')
  proxy.resetAll()
  const next = await here.tryLock('one', { timeout: 5_000 })
  t.ok(next)
  t.equal(await grant.release(), false)
  t.equal(await there.tryLock('one', { timeout: 0 }), null, 'a late release takes nothing from the next holder')
  t.equal(await next?.release(), true)
})

await t.test('a connection that died without a word does not hold up the close', async (t) => {
  const pool = await testPool(t)
  const proxy = await faultProxy(t, urlOf(pool))
  const backend = openBackend(t, pool, { timeout: 300, connection: { connectionString: proxy.url } })
  await backend.open()
  proxy.halfOpen()
  const start = fairNow()
  await backend.close()
  t.ok(fairNow() - start < 1_000, 'in time')
  proxy.resetAll()
  await until('its session is gone', async () => (await lockSessions(pool)).length === 0)
})

await t.test('a server that takes the connection and says nothing is unavailable after the timeout', async (t) => {
  const pool = await testPool(t)
  const proxy = await faultProxy(t, urlOf(pool))
  proxy.blackHole()
  const locks = openLocks(t, pool, { ...limits, connection: { connectionString: proxy.url } })
  const start = fairNow()
  await t.rejects(locks.tryLock('one', { timeout: 0 }), { code: 'FST_LOCKS_UNAVAILABLE', cause: { message: /timeout/ } })
  t.ok(fairNow() - start < 1_000, 'in time')
  proxy.heal()
  t.equal(await locks.withLock('one', () => 'had'), 'had')
})
