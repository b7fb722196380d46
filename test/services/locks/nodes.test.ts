import t from 'tap'
import { fairNow } from '../../fair-clock.js'
import { until } from '../../helper.js'
import { keyOf, locked, untilExtended } from './helper.js'

await t.test('with one of three nodes frozen locks are had, waited for and handed over', async (t) => {
  const { locks, servers } = await locked(t, { nodes: 3 })
  await locks.using('warm', {}, () => {})
  servers[0]?.signal('SIGSTOP')
  const start = fairNow()
  const grant = await locks.acquire('a')
  t.ok(fairNow() - start < 200, 'a quorum is enough')
  await t.rejects(locks.using('a', { wait: 400 }, () => t.fail('it ran')), { code: 'FST_LOCKS_TIMEOUT' })
  const waiting = locks.using('a', { wait: 5_000 }, () => 'mine')
  await until('it waits', () => locks.waiters('redis') === 1)
  t.equal(await grant.release(), true)
  t.equal(await waiting, 'mine')
})

await t.test('with two of three frozen a lock cannot be had, in time, and leaves no key when they wake', async (t) => {
  const { locks, servers, clients } = await locked(t, { nodes: 3 })
  await locks.using('warm', {}, () => {})
  for (const server of servers.slice(0, 2)) server.signal('SIGSTOP')
  const start = fairNow()
  await t.rejects(locks.using('a', { wait: 1_000 }, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' })
  t.ok(fairNow() - start < 1_200, `${fairNow() - start} ms`)
  await t.rejects(locks.tryUsing('a', {}, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' })
  for (const server of servers) server.signal('SIGCONT')
  await until('no node has a key', async () => (await Promise.all(clients.map((client) => client.exists(keyOf('a'))))).every((found) => found === 0))
  t.equal(await locks.using('a', {}, () => 'mine'), 'mine')
})

await t.test('a lock that a silent server takes when it wakes is given back, even where it does not know the script yet', async (t) => {
  const { locks, servers: [server], clients: [client] } = await locked(t)
  await locks.acquire('only the script that takes is known')
  server?.signal('SIGSTOP')
  await t.rejects(locks.tryUsing('a', {}, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' })
  server?.signal('SIGCONT')
  await client?.ping() // it has done what it was sent before
  await until('the key is gone', async () => await client?.exists(keyOf('a')) === 0, 2_000)
})

await t.test('what a silent server did not take for want of the script is not asked for again when it wakes', async (t) => {
  const { locks, servers: [server], clients: [client] } = await locked(t)
  const grant = await locks.acquire('b')
  await client?.script('FLUSH')
  await grant.release() // the script that gives back is known again, the one that takes is not
  server?.signal('SIGSTOP')
  await t.rejects(locks.tryUsing('a', {}, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' })
  server?.signal('SIGCONT')
  await until('it serves again', () => locks.using('c', { wait: 0 }, () => true).catch(() => false))
  t.equal(await client?.exists(keyOf('a')), 0)
})

await t.test('the holder is told at the end of the validity when two of three freeze', async (t) => {
  const { locks, servers } = await locked(t, { nodes: 3 })
  await t.rejects(locks.using('a', { ttl: 600 }, async ({ signal }) => {
    for (const server of servers.slice(0, 2)) server.signal('SIGSTOP')
    const [start, fair] = [performance.now(), fairNow()]
    await until('the signal aborts', () => signal.aborted)
    const after = performance.now() - start
    t.ok(after > 150 && fairNow() - fair < 750, `${after} ms`)
    for (const server of servers) server.signal('SIGCONT')
  }), { code: 'FST_LOCKS_LOST' })
})

await t.test('a lock outlives an outage that is shorter than its validity', async (t) => {
  const { locks, servers: [server] } = await locked(t)
  await locks.using('a', { ttl: 2_000 }, async (grant) => {
    const end = performance.now() + grant.remaining()
    server?.signal('SIGSTOP')
    await until('an extension was due', () => grant.remaining() < 1_000)
    server?.signal('SIGCONT')
    await until('the first validity is over', () => performance.now() > end + 500)
    grant.assertHeld()
  })
})

await t.test('what one of three nodes forgot is no loss', async (t) => {
  const { locks, clients: [client] } = await locked(t, { nodes: 3 })
  await locks.using('a', { ttl: 300 }, async (grant) => {
    await client?.flushall()
    await untilExtended(grant, 3)
    grant.assertHeld()
  })
})
