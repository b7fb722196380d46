import assert from 'node:assert/strict'
import { Redis } from 'ioredis'
import t from 'tap'
import { faultProxy } from '../../chaos/fault-proxy.js'
import { until } from '../../helper.js'
import { keyOf, locked, locksOver } from './helper.js'

const ttl = 600

/** Until this time of now is over. */
async function past (what: string, ms: number): Promise<void> {
  const end = performance.now() + ms
  await until(what, () => performance.now() > end)
}

/** How many nodes have a key of that name. */
async function have (clients: readonly Redis[], name: string): Promise<number> {
  return (await Promise.all(clients.map((client) => client.exists(keyOf(name))))).reduce((sum, found) => sum + found, 0)
}

async function isGone (clients: readonly Redis[], name: string): Promise<boolean> {
  return await have(clients, name) === 0
}

await t.test('five nodes bear the death of two: locks are extended, refused, given back and handed over', async (t) => {
  const { locks, servers } = await locked(t, { nodes: 5 })
  const { locks: others, clients } = await locked(t, { servers })
  const grant = await locks.acquire('a', { ttl })
  await until('every node has granted it', async () => await have(clients, 'a') === 5)
  await Promise.all(servers.slice(0, 2).map((server) => server.kill()))
  await past('its first validity is over', grant.remaining())
  grant.assertHeld()
  t.same(await others.tryUsing('a', {}, () => t.fail('it ran')), { acquired: false }, 'busy, and not unavailable')
  const waiting = others.using('a', { wait: 5_000 }, () => 'mine')
  await until('it waits', () => others.waiters('redis') === 1)
  t.equal(await grant.release(), true)
  t.equal(await waiting, 'mine')
  await until('no key is left', () => isGone(clients.slice(2), 'a'), 1_000)
})

await t.test('with three of five dead nobody gets a lock, and the holder is told within the ttl', async (t) => {
  const { locks, servers, clients } = await locked(t, { nodes: 5 })
  await Promise.all(servers.slice(0, 2).map((server) => server.kill()))
  const grant = await locks.acquire('a', { ttl })
  await servers[2]?.kill()
  const aborted = until('the signal aborts', () => grant.signal.aborted, ttl + 500)
  await t.rejects(locks.tryUsing('b', {}, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' })
  await t.rejects(locks.using('b', { wait: 200 }, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' })
  await aborted
  t.match(grant.signal.reason, { code: 'FST_LOCKS_LOST' })
  t.throws(grant.assertHeld, { code: 'FST_LOCKS_LOST' })
  t.equal(await grant.release(), false)
  for (const name of ['a', 'b']) await until('a minority keeps nothing', () => isGone(clients.slice(3), name), 1_000)
})

await t.test('a lock is extended past its ttl while one of three nodes is frozen, is nobody else\'s, and leaves nothing on that node', async (t) => {
  const { locks, servers, clients } = await locked(t, { nodes: 3 })
  const { locks: others } = await locked(t, { servers })
  const grant = await locks.acquire('a', { ttl })
  await until('every node has granted it', async () => await have(clients, 'a') === 3)
  servers[0]?.signal('SIGSTOP')
  const end = performance.now() + 2 * ttl
  while (performance.now() < end) {
    assert.deepEqual(await others.tryUsing('a', {}, () => t.fail('it ran')), { acquired: false })
    grant.assertHeld()
  }
  const waiting = others.using('a', { wait: 5_000 }, () => 'mine')
  await until('it waits', () => others.waiters('redis') === 1)
  servers[0]?.signal('SIGCONT')
  await past('an extension found the node without the key', ttl)
  grant.assertHeld()
  t.equal(await grant.release(), true)
  t.equal(await waiting, 'mine')
  await until('no key is left', () => isGone(clients, 'a'), 1_000)
})

await t.test('a lock that a bare majority has granted is lost with one of these nodes, and told before anybody else has it', async (t) => {
  const { locks: others, servers } = await locked(t, { nodes: 3 })
  const [first, second, third] = servers.map(({ url }) => url)
  const late = await faultProxy(t, third ?? '')
  const { locks } = await locksOver(t, [first, second, late.url].map((url = '') => new Redis(url)))
  late.blackHole('up')
  const grant = await locks.acquire('a', { ttl })
  servers[0]?.signal('SIGSTOP')
  await others.using('a', { wait: 5_000 }, () => {
    t.equal(grant.remaining(), 0)
    t.equal(grant.signal.aborted, true)
  })
  t.equal(await grant.release(), false)
})

/** How long a look at a busy lock can be away, ms: `interval` by default, and the silence of a node that is waited for. */
const bound = 500 + 250

for (const isFrozenBefore of [false, true]) {
  await t.test(`with the node of the subscription frozen ${isFrozenBefore ? 'before' : 'after'} it stood, a release is found by looking`, async (t) => {
    const { locks, servers } = await locked(t, { nodes: 3 })
    const { locks: others } = await locked(t, { servers })
    await locks.using('warm', {}, () => {})
    const grant = await locks.acquire('a')
    if (isFrozenBefore) servers[0]?.signal('SIGSTOP')
    const waiting = others.using('a', { wait: 10_000 }, () => performance.now())
    await until('it waits', () => others.waiters('redis') === 1)
    if (!isFrozenBefore) servers[0]?.signal('SIGSTOP')
    await past('it looks seldom', 1_600)
    const start = performance.now()
    t.equal(await grant.release(), true)
    const delay = await waiting - start
    t.comment(`handed over after ${delay.toFixed(0)} ms`)
    t.ok(delay < bound, `${delay} ms`)
  })
}
