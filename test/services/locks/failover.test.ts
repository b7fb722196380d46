import { Redis } from 'ioredis'
import t from 'tap'
import type { Test } from 'tap'
import type { LockService } from '../../../services/locks/locks.js'
import { fairNow } from '../../fair-clock.js'
import { gate, until } from '../../helper.js'
import { ownSentinel } from '../../own-servers.js'
import type { OwnSentinel } from '../../own-servers.js'
import { keyOf, locked, locksOver } from './helper.js'

interface Watched extends OwnSentinel {
  locks: LockService
  /** Of another process. */
  others: LockService
  /** Of the test's own, to the server that becomes the master. */
  client: Redis
}

/** Two lock services over what one Sentinel watches. */
async function watched (t: Test): Promise<Watched> {
  const own = await ownSentinel(t)
  const open = async (): Promise<LockService> => {
    const sentinels = [{ host: '127.0.0.1', port: own.port }]
    return (await locksOver(t, [new Redis({ sentinels, name: 'main', sentinelRetryStrategy: () => 50 })])).locks
  }
  const client = new Redis(own.replica.url)
  t.teardown(() => { client.disconnect() })
  return { ...own, locks: await open(), others: await open(), client }
}

await t.test('over a failover the holder keeps a lock that was replicated, and one who waits gets its lock from the new master', async (t) => {
  const { locks, others, master, client } = await watched(t)
  const end = gate()
  const working = locks.using('a', { ttl: 30_000 }, async ({ assertHeld }) => {
    await until('its key is replicated', async () => await client.exists(keyOf('a')) === 1)
    await master.kill()
    await end.opened
    assertHeld()
    return 'done'
  })
  await until('the master is dead', () => others.tryUsing('b', {}, () => {}).then(() => false, (error: { code: string }) => error.code === 'FST_LOCKS_UNAVAILABLE'))
  t.equal(await others.using('b', { wait: 20_000 }, () => 'mine'), 'mine')
  t.match(await client.role(), ['master'])
  t.same(await others.tryUsing('a', {}, () => t.fail('it ran')), { acquired: false })
  end.open()
  t.equal(await working, 'done')
  t.equal(await client.exists(keyOf('a')), 0)
})

await t.test('a failover that takes longer than the validity is told to the holder in time', async (t) => {
  const { locks, others, master } = await watched(t)
  const grant = await locks.acquire('a', { ttl: 300 })
  await master.kill()
  const start = fairNow()
  await until('the signal aborts', () => grant.signal.aborted)
  t.ok(fairNow() - start < 1_000, `${fairNow() - start} ms`) // a timer of 300 ms, and not the end of the failover
  t.equal(await others.using('a', { wait: 20_000 }, () => 'mine'), 'mine')
  t.equal(await grant.release(), false)
})

await t.test('a lock that was not replicated is told to its holder at its next extension', async (t) => {
  const { locks, others, master, client } = await watched(t)
  const ttl = 9_000
  const grant = await locks.acquire('a', { ttl })
  await until('its key is replicated', async () => await client.exists(keyOf('a')) === 1)
  await client.config('SET', 'replica-read-only', 'no')
  await client.del(keyOf('a')) // as if it had not been
  await master.kill()
  await others.using('b', { wait: 20_000 }, () => {})
  await until('the signal aborts', () => grant.signal.aborted, ttl / 3 + ttl / 10 + 500)
  t.match(grant.signal.reason, { code: 'FST_LOCKS_LOST', cause: { message: /its key is gone/ } })
  t.equal(await grant.release(), false)
})

await t.test('a restart that forgets is told to the holder at its next extension, a third of the ttl away at most', async (t) => {
  const { locks, servers: [server] } = await locked(t)
  const { locks: others } = await locked(t, { servers: server === undefined ? [] : [server] })
  const ttl = 3_000
  const grant = await locks.acquire('a', { ttl })
  await server?.kill()
  await server?.start()
  const start = fairNow()
  t.equal(await others.using('a', { wait: 5_000 }, () => 'mine'), 'mine', 'nothing keeps another one from it')
  await until('the signal aborts', () => grant.signal.aborted)
  t.ok(fairNow() - start < ttl / 3 + 500, `${fairNow() - start} ms`)
  t.match(grant.signal.reason, { code: 'FST_LOCKS_LOST', cause: { message: /its key is gone/ } })
  t.throws(grant.assertHeld, { code: 'FST_LOCKS_LOST' })
})
