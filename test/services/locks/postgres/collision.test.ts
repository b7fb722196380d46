import t from 'tap'
import { lockKey } from '../../../../services/locks/postgres/key.js'
import { fairNow } from '../../../fair-clock.js'
import { testPool } from '../../../helper.js'
import { lockCount, openBackend, openLocks, take, taken } from './helper.js'

/** Two names with one key, found by hashing 7.4 billion of them: nobody meets them by chance, but names may be what a client has sent. */
const [one, other] = ['8a9d0b533eb49157', 'f77cc47ec226f7f7'] as const

await t.test('two names with one key are one lock: each is busy while the other is held, and both can be taken together', async (t) => {
  t.equal(lockKey('holdfast', one), lockKey('holdfast', other))
  const pool = await testPool(t)
  const [here, there] = [openBackend(t, pool), openBackend(t, pool)]
  const hold = await taken(here, one)
  t.equal(await take(here, other), 'busy', 'the session itself would be granted it a second time')
  t.equal(await take(there, other), 'busy')
  t.equal(await hold.release(), true)
  const both = await taken(there, one, other)
  t.equal(await take(here, one), 'busy')
  t.equal(await both.release(), true)
  t.equal(await lockCount(pool), 0)
})

await t.test('nested, the second one ends with its deadline, and the first one is held all the same', async (t) => {
  const pool = await testPool(t)
  const { locks, withLock } = openLocks(t, pool)
  await withLock(one, async (grant) => {
    const start = fairNow()
    await t.rejects(withLock(other, () => t.fail('it ran'), { timeout: 200 }), { code: 'FST_LOCKS_TIMEOUT', names: [other] })
    t.ok(fairNow() - start < 1_000, 'in time')
    t.match(await locks.tryUsing(other, {}, () => t.fail('it ran')), { acquired: false })
    grant.assertHeld()
  })
  t.equal(await lockCount(pool), 0)
})
