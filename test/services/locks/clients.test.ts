import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, Redis } from 'ioredis'
import t from 'tap'
import type { Test } from 'tap'
import type { Grant } from '../../../services/locks/grant.js'
import type { LockService } from '../../../services/locks/locks.js'
import { fairNow } from '../../fair-clock.js'
import { until } from '../../helper.js'
import { ownCluster, ownRedis } from '../../own-servers.js'
import { locksOver, untilExtended } from './helper.js'

/** A release of one process wakes the other one, which looks every 250 to 500 ms only by then. */
async function handsOver (t: Test, [holder, waiter]: readonly [LockService, LockService]): Promise<void> {
  const grant = await holder.acquire(['a', 'b'])
  const waiting = waiter.using(['b', 'c'], { wait: 10_000 }, () => fairNow())
  await until('it waits', () => waiter.waiters('redis') === 1)
  await sleep(1_600) // between two looks
  const start = fairNow()
  t.equal(await grant.release(), true)
  t.ok(await waiting - start < 200)
}

await t.test('several names of a Cluster are taken, extended and handed over', async (t) => {
  const { port } = await ownCluster(t)
  const open = async (): Promise<LockService> => (await locksOver(t, [new Cluster([{ host: '127.0.0.1', port }])])).locks
  const both = [await open(), await open()] as const
  await both[0].using(['a', 'b'], { ttl: 300 }, async (grant) => {
    await untilExtended(grant, 3)
    grant.assertHeld()
    t.same(await both[1].tryUsing('b', {}, () => {}), { acquired: false })
  })
  await handsOver(t, both)
})

await t.test('a client with a keyPrefix is woken too', async (t) => {
  const { url } = await ownRedis(t)
  const open = async (): Promise<LockService> => (await locksOver(t, [new Redis(url, { keyPrefix: 'mine:' })])).locks
  await handsOver(t, [await open(), await open()])
})

await t.test('a client that wants numbers as strings gets its locks', async (t) => {
  const { url } = await ownRedis(t)
  const { locks } = await locksOver(t, [new Redis(url, { stringNumbers: true })])
  t.equal(await locks.using(['a', 'b'], { wait: 0 }, () => 'ran'), 'ran')
})

await t.test('10,000 names are held at once', async (t) => {
  const { url } = await ownRedis(t)
  const redis = new Redis(url)
  const { locks } = await locksOver(t, [redis])
  const waves = Array.from({ length: 20 }, (_, wave) => Array.from({ length: 500 }, (_, index) => `name ${wave * 500 + index}`)) // asked for at once they would be a test of the machine
  const grants: Grant[] = []
  for (const names of waves) grants.push(...await Promise.all(names.map((name) => locks.acquire(name, { ttl: 30_000 })))) // each is extended every 10 s
  const endOf = ({ remaining }: Grant): number => performance.now() + remaining()
  let pending = grants.map((grant) => ({ grant, first: endOf(grant) }))
  await until('all are extended', () => {
    pending = pending.filter(({ grant, first }) => endOf(grant) <= first + 1_000)
    return pending.length === 0
  }, 25_000)
  for (const grant of grants) grant.assertHeld()
  while (grants.length > 0) await Promise.all(grants.splice(0, 500).map((grant) => grant.release()))
  // Not every answer counts on a machine that has no time for Redis: one that comes after 250 ms of silence confirms nothing.
  await until('all are given back, long before their ttl', async () => await redis.dbsize() === 0, 5_000)
})
