import t from 'tap'
import type { Test } from 'tap'
import { createLocks } from '../../../services/locks/locks.js'
import type { LockService } from '../../../services/locks/locks.js'
import { noObserver } from '../../../services/locks/observer.js'
import { openRedisBackend } from '../../../services/locks/redis/backend.js'
import { silentLog } from '../../../services/log.js'
import { gate, testPrefix, testRedis, until } from '../../helper.js'
import { blockFor } from './helper.js'

/** Locks of Redis with tokens of the test's own, and whether the lock `a` is held there. */
async function fenced (t: Test, nextToken: () => Promise<bigint>): Promise<{ locks: LockService, isHeld: () => Promise<boolean> }> {
  const [redis, prefix] = [testRedis(t), testPrefix()]
  const backend = await openRedisBackend({ redis: [redis], prefix, log: silentLog })
  const locks = createLocks({ backends: [backend], nextToken, log: silentLog, observer: noObserver })
  t.teardown(async () => {
    await locks.close(0)
    await backend.close()
  })
  return { locks, isHeld: async () => await redis.exists(`${prefix}:{locks}:a`) === 1 }
}

await t.test('a lock whose token is still to come when the server stops is refused, and given back before the stop ends', async (t) => {
  const token = gate()
  const { locks, isHeld } = await fenced(t, () => token.opened.then(() => 1n))
  const refused = t.rejects(locks.using('a', { fencing: true }, () => t.fail('it ran')), { code: 'FST_LOCKS_ABORTED' })
  await until('it is held', isHeld)
  let closed = false
  const closing = locks.close(0).then(() => { closed = true })
  await refused
  t.equal(closed, false)
  token.open()
  await closing
  t.equal(await isHeld(), false)
})

await t.test('a lock whose token does not come in time is refused, and given back when it comes', async (t) => {
  const token = gate()
  const { locks, isHeld } = await fenced(t, () => token.opened.then(() => 1n))
  await t.rejects(locks.using('a', { fencing: true, wait: 50 }, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' })
  t.equal(await isHeld(), true)
  token.open()
  await until('it is given back', async () => !await isHeld())
})

await t.test('a lock whose token cannot be had is given back, and asked for again while there is time', async (t) => {
  let tries = 0
  const { locks, isHeld } = await fenced(t, async () => {
    if (tries++ < 2) throw new Error('no token')
    return 7n
  })
  await t.rejects(locks.using('a', { fencing: true, wait: 0 }, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE', cause: { message: 'no token' } })
  t.equal(await isHeld(), false)
  t.equal(await locks.using('a', { fencing: true }, ({ token }) => token), 7n)
  t.equal(tries, 3)
})

await t.test('a lock that is lost when its token comes is none', async (t) => {
  let stalls = 1
  const { locks, isHeld } = await fenced(t, async () => {
    if (stalls-- > 0) blockFor(150)
    return 7n
  })
  await t.rejects(locks.using('a', { fencing: true, ttl: 100, wait: 0 }, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE', cause: { message: /was lost/ } })
  t.equal(await isHeld(), false)
  t.equal(await locks.using('a', { fencing: true, ttl: 100 }, ({ token }) => token), 7n)
})
