import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { callsOf } from '../idempotency/link.js'
import { createLocks } from '../../../services/locks/locks.js'
import { noObserver } from '../../../services/locks/observer.js'
import { silentLog } from '../../../services/log.js'
import { fairNow } from '../../fair-clock.js'
import { gate, until } from '../../helper.js'
import { blockFor, keyOf, locked, untilExtended } from './helper.js'

await t.test('two commands for an uncontended lock, and nothing is left', async (t) => {
  const { locks, clients: [client] } = await locked(t)
  await locks.using('warm', {}, () => {}) // the server has the scripts now
  await client?.config('RESETSTAT')
  t.equal(await locks.using('a', {}, () => 'done'), 'done')
  t.equal(await callsOf(client!, 'evalsha') + await callsOf(client!, 'eval'), 2)
  t.same(await client?.keys('*'), [])
})

await t.test('several names are taken together or not at all', async (t) => {
  const { locks, clients: [client] } = await locked(t)
  await locks.using('b', {}, async () => {
    t.same(await locks.tryUsing(['a', 'b', 'c'], {}, () => t.fail('it ran')).catch((error: { code: string }) => error.code), 'FST_LOCKS_USAGE')
    t.same(await client?.keys('*'), [keyOf('b')])
  })
  const names = await locks.using(['c', 'a', 'c'], {}, async (grant) => {
    t.same((await client?.keys('*'))?.sort(), [keyOf('a'), keyOf('c')])
    return grant.names
  })
  t.same(names, ['a', 'c'])
  t.same(await client?.keys('*'), [])
})

await t.test('those who take the same names in another order never wait crosswise', async (t) => {
  const { locks } = await locked(t)
  let inside = 0
  const work = async (): Promise<void> => {
    t.equal(++inside, 1)
    await new Promise(setImmediate) // its work
    inside--
  }
  await Promise.all(Array.from({ length: 20 }, (_, index) => locks.using(index % 2 === 0 ? ['a', 'b'] : ['b', 'a'], { wait: 20_000 }, work)))
})

await t.test('the error of the routine wins, also over the loss of the lock', async (t) => {
  const { locks, clients: [client] } = await locked(t)
  const start = fairNow()
  await t.rejects(locks.using('a', { ttl: 300 }, async () => {
    await client?.set(keyOf('a'), 'thief')
    throw new Error('of the routine')
  }), { message: 'of the routine' })
  t.ok(fairNow() - start < 1_000)
  t.equal(await client?.get(keyOf('a')), 'thief', 'what is another one\'s is left alone')
})

await t.test('a stolen lock aborts the signal within a third of the ttl, and using rejects', async (t) => {
  const { locks, clients: [client] } = await locked(t)
  let aborted = 0
  const running = locks.using('a', { ttl: 900 }, async ({ signal, assertHeld, remaining }) => {
    assertHeld()
    t.ok(remaining() > 600 && remaining() < 900, `${remaining()}`)
    await client?.set(keyOf('a'), 'thief')
    const stolen = fairNow()
    await until('the signal aborts', () => signal.aborted)
    aborted = fairNow() - stolen
    t.throws(assertHeld, { code: 'FST_LOCKS_LOST' })
    t.equal(remaining(), 0)
    return 'ignored'
  })
  await t.rejects(running, { code: 'FST_LOCKS_LOST', names: ['a'], attempts: 1 })
  t.ok(aborted < 450, `${aborted} ms`)
})

await t.test('a lock that was stolen and never looked at is lost all the same', async (t) => {
  const { locks, clients: [client] } = await locked(t)
  await t.rejects(locks.using('a', {}, async () => { await client?.del(keyOf('a')) }), { code: 'FST_LOCKS_LOST' })
})

await t.test('after FLUSHALL the holder is told', async (t) => {
  const { locks, clients: [client] } = await locked(t)
  await t.rejects(locks.using('a', { ttl: 300 }, async ({ signal }) => {
    await client?.flushall()
    await until('the signal aborts', () => signal.aborted)
    t.match(signal.reason, { code: 'FST_LOCKS_LOST' })
  }), { code: 'FST_LOCKS_LOST' })
})

await t.test('a lock is extended for as long as its holder works', async (t) => {
  const { locks, clients: [client] } = await locked(t)
  await locks.using('a', { ttl: 150 }, async (grant) => {
    for (let index = 0; index < 10; index++) { // longer than the ttl altogether
      await untilExtended(grant, 1)
      grant.assertHeld()
      t.same(await locks.tryUsing('b', {}, async () => 1), { acquired: true, value: 1 })
    }
  })
  t.equal(await client?.exists(keyOf('a')), 0)
})

await t.test('right after the process stood still past the ttl assertHeld throws, and nothing is extended', async (t) => {
  const { locks, clients: [client] } = await locked(t)
  await t.rejects(locks.using('a', { ttl: 300 }, async ({ assertHeld, signal, remaining }) => {
    blockFor(400)
    t.equal(signal.aborted, false, 'no timer has run yet')
    t.throws(assertHeld, { code: 'FST_LOCKS_LOST' })
    t.equal(signal.aborted, true)
    t.equal(remaining(), 0)
    await sleep(200) // time to extend it, wrongly
    t.equal(await client?.exists(keyOf('a')), 0)
  }), { code: 'FST_LOCKS_LOST' })
})

await t.test('what is over is not extended, even where Redis still has its key', async (t) => {
  const { locks, clients: [client] } = await locked(t)
  await t.rejects(locks.using('a', { ttl: 300 }, async () => {
    await client?.persist(keyOf('a'))
    blockFor(400)
    await sleep(200) // time to extend it, wrongly
    t.equal(await client?.pttl(keyOf('a')), -1)
  }), { code: 'FST_LOCKS_LOST' })
})

await t.test('a lock is given back once, and a late release takes nothing from the next holder', async (t) => {
  const { locks, clients: [client] } = await locked(t)
  const grant = await locks.acquire('a')
  t.same(await Promise.all([grant.release(), grant.release()]), [true, true])
  const next = await locks.acquire('a')
  t.equal(await grant.release(), true)
  t.equal(await client?.exists(keyOf('a')), 1)
  t.throws(grant.assertHeld, { code: 'FST_LOCKS_LOST' })
  await client?.del(keyOf('a'))
  t.equal(await next.release(), false)
})

await t.test('the same name nested is a mistake of the program, another one is not', async (t) => {
  const { locks } = await locked(t)
  await locks.using(['a', 'b'], {}, async () => {
    await t.rejects(locks.using('b', {}, () => {}), { code: 'FST_LOCKS_USAGE', names: ['b'], message: /the lock b is held already/ })
    await t.rejects(locks.acquire(['c', 'a']), { code: 'FST_LOCKS_USAGE', names: ['c', 'a'], waited: 0, attempts: 0 })
    await locks.using('c', {}, async () => { await t.rejects(locks.tryUsing('a', {}, () => {}), { code: 'FST_LOCKS_USAGE' }) })
  })
  const over = gate()
  let later: Promise<unknown> = Promise.resolve()
  await locks.using('a', {}, async () => { later = over.opened.then(() => locks.using('a', {}, () => 'free')) })
  over.open()
  t.equal(await later, 'free', 'what outlives the lock may take it')
})

await t.test('wrong names and options are mistakes of the program', async (t) => {
  const { locks } = await locked(t)
  for (const names of ['', [], [''], 'x'.repeat(1_025), [1] as unknown as string[]]) await t.rejects(locks.acquire(names), { code: 'FST_LOCKS_USAGE' })
  for (const options of [{ ttl: 99 }, { ttl: 1.5 }, { wait: -1 }, { retry: 1 }, { backend: 'mongo' }, { signal: 1 }]) await t.rejects(locks.acquire('a', options as object), { code: 'FST_LOCKS_USAGE', message: /^option `/ })
  await t.rejects(locks.acquire('a', { backend: 'postgres' }), { code: 'FST_LOCKS_USAGE', message: /needs the option `postgres`/ })
  await t.rejects(locks.acquire('a', { fencing: true }), { code: 'FST_LOCKS_USAGE', message: /needs the option `postgres`/ })
})

await t.test('a token that the backend has drawn with the lock is the grant\'s, and no other is drawn', async (t) => {
  const { backend } = await locked(t)
  const drawing: typeof backend = {
    ...backend,
    async attempt (...args) {
      const answer = await backend.attempt(...args)
      return answer.outcome === 'granted' ? { ...answer, hold: { ...answer.hold, token: 7n } } : answer
    }
  }
  const locks = createLocks({ backends: [drawing], nextToken: () => Promise.reject(new Error('another one was drawn')), log: silentLog, observer: noObserver })
  t.equal(await locks.using('a', { fencing: true }, ({ token }) => token), 7n)
  t.equal(await locks.using('a', {}, ({ token }) => token), 7n)
})

await t.test('the wall clock does not count', async (t) => {
  const { locks } = await locked(t)
  const { now } = Date
  t.teardown(() => { Date.now = now })
  await locks.using('a', { ttl: 300 }, async (grant) => {
    Date.now = () => now() + 3_600_000
    await untilExtended(grant, 3)
    grant.assertHeld()
  })
})
