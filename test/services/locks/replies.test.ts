import { Redis } from 'ioredis'
import t from 'tap'
import { faultProxy } from '../../chaos/fault-proxy.js'
import { until } from '../../helper.js'
import { ownRedis } from '../../own-servers.js'
import { callsOf } from '../idempotency/link.js'
import { keyOf, locked, locksOver, proxied } from './helper.js'

await t.test('a lock whose answer was lost is refused, and given back long before its ttl', async (t) => {
  const { locks, proxy, client } = await proxied(t)
  proxy.resetOn('down', () => true)
  await t.rejects(locks.tryUsing('a', { ttl: 60_000 }, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' })
  t.equal(await callsOf(client, 'set'), 1, 'Redis has granted it')
  await until('it is given back', async () => await client.exists(keyOf('a')) === 0, 3_000)
  t.equal(await locks.using('a', {}, () => 'mine'), 'mine')
})

await t.test('one that waits gets the lock that it was given and not told of', async (t) => {
  const { locks, proxy } = await proxied(t)
  proxy.resetOn('down', () => true)
  t.equal(await locks.using('a', { wait: 5_000, ttl: 60_000 }, () => 'mine'), 'mine')
})

await t.test('a network that was away for less than the validity costs no lock', async (t) => {
  const { locks, proxy, client } = await proxied(t)
  await locks.using('a', { ttl: 1_500 }, async ({ remaining, assertHeld }) => {
    const end = performance.now() + remaining()
    proxy.refuse()
    proxy.resetAll()
    await until('an extension has failed', () => remaining() < 700)
    proxy.heal()
    await until('its first validity is over', () => performance.now() > end)
    assertHeld()
    t.equal(await client.exists(keyOf('a')), 1)
  })
  t.equal(await client.exists(keyOf('a')), 0)
})

await t.test('a network that stays away is told at the end of the validity, and no sooner', async (t) => {
  const { locks, proxy } = await proxied(t)
  await t.rejects(locks.using('a', { ttl: 600 }, async ({ signal, remaining }) => {
    proxy.refuse()
    proxy.resetAll()
    const end = performance.now() + remaining()
    await until('the signal aborts', () => signal.aborted)
    const late = performance.now() - end
    t.ok(late >= 0 && late < 500, `${late} ms`)
    t.match(signal.reason, { code: 'FST_LOCKS_LOST' })
  }), { code: 'FST_LOCKS_LOST' })
})

await t.test('a release that cannot be sent changes neither what the routine threw nor what it returned', async (t) => {
  const { locks, proxy, client } = await proxied(t)
  const cut = (): void => {
    proxy.refuse()
    proxy.resetAll()
  }
  await t.rejects(locks.using('a', { ttl: 60_000 }, async () => { cut(); throw new Error('of the routine') }), { message: 'of the routine' })
  proxy.heal()
  t.equal(await locks.using('b', { ttl: 60_000 }, async () => { cut(); return 'done' }), 'done')
  proxy.heal()
  await until('both are given back once the network is there again', async () => await client.exists(keyOf('a'), keyOf('b')) === 0, 3_000)
})

await t.test('a release whose answer is lost changes nothing either', async (t) => {
  const { locks, proxy, client } = await proxied(t)
  t.equal(await locks.using('a', { ttl: 60_000 }, async () => { proxy.resetOn('down', () => true); return 'done' }), 'done')
  t.equal(await client.exists(keyOf('a')), 0)
})

await t.test('what a node that does not know the scripts grants after the others have refused is given back', async (t) => {
  const servers = await Promise.all([ownRedis(t), ownRedis(t), ownRedis(t)])
  await servers[0]?.kill()
  const { locks } = await locked(t, { servers })
  await locks.acquire('a')
  await servers[0]?.start()
  const slow = await faultProxy(t, servers[0]?.url ?? '')
  const { locks: others } = await locksOver(t, [slow.url, servers[1]?.url ?? '', servers[2]?.url ?? ''].map((url) => new Redis(url)))
  slow.delay(50, 'down')
  const client = new Redis(servers[0]?.url ?? '')
  t.teardown(() => { client.disconnect() })
  t.same(await others.tryUsing('a', {}, () => t.fail('it ran')), { acquired: false })
  await until('that node has granted it', async () => await callsOf(client, 'set') === 1)
  await until('it is given back', async () => await client.exists(keyOf('a')) === 0, 1_000)
})
