import { Cluster, Redis } from 'ioredis'
import t from 'tap'
import type { Test } from 'tap'
import type { LockService } from '../../../services/locks/locks.js'
import { faultProxy } from '../../chaos/fault-proxy.js'
import { fairNow } from '../../fair-clock.js'
import { gate, until } from '../../helper.js'
import { ownCluster, withRedis } from '../../own-servers.js'
import type { OwnServer } from '../../own-servers.js'
import { keyOf, locksOver } from './helper.js'

interface Clustered {
  locks: LockService
  /** Of another process. */
  others: LockService
  masters: OwnServer[]
  /** The one that has the locks, all in one slot. */
  master: OwnServer
  slot: number
}

async function clustered (t: Test): Promise<Clustered> {
  const { port, masters } = await ownCluster(t, 3)
  const open = async (): Promise<LockService> => (await locksOver(t, [new Cluster([{ host: '127.0.0.1', port }])])).locks
  const [locks, others] = [await open(), await open()]
  await locks.acquire('a key to find its master by')
  const sizes = await Promise.all(masters.map((server) => withRedis(server, (redis) => redis.dbsize())))
  const master = masters[sizes.indexOf(1)]
  if (master === undefined) throw new Error('no master has the key')
  const slot = await withRedis(master, (redis) => redis.cluster('KEYSLOT', keyOf('any'))) as number
  return { locks, others, masters, master, slot }
}

/** As `redis-cli --cluster reshard` does. `halfWay` runs where the keys are at the other one, and the slot not yet. */
async function move ({ masters, master, slot }: Clustered, halfWay: () => Promise<void>): Promise<OwnServer> {
  const target = masters.find((other) => other !== master)
  if (target === undefined) throw new Error('there is no other master')
  const [from, to] = [new Redis(master.url), new Redis(target.url)]
  const [fromId, toId] = [String(await from.cluster('MYID')), String(await to.cluster('MYID'))]
  await to.cluster('SETSLOT', slot, 'IMPORTING', fromId)
  await from.cluster('SETSLOT', slot, 'MIGRATING', toId)
  const empty = async (): Promise<boolean> => {
    const keys = await from.cluster('GETKEYSINSLOT', slot, 100)
    if (keys.length > 0) await from.call('MIGRATE', '127.0.0.1', new URL(target.url).port, '', 0, 5_000, 'KEYS', ...keys)
    return keys.length === 0
  }
  await until('its keys have gone', empty)
  await halfWay()
  await until('those of since have gone', empty)
  for (const server of [target, master, ...masters]) await withRedis(server, (redis) => redis.cluster('SETSLOT', slot, 'NODE', toId))
  from.disconnect()
  to.disconnect()
  return target
}

interface Counted { inside: number, runs: number, over: boolean }

async function count (t: Test, locks: LockService, counted: Counted): Promise<void> {
  while (!counted.over) {
    await locks.using('counter', { wait: 20_000 }, async ({ assertHeld }) => {
      t.equal(++counted.inside, 1)
      await new Promise((resolve) => setTimeout(resolve, 5)) // its work
      assertHeld()
      counted.inside--
      counted.runs++
    })
  }
}

await t.test('while their slot moves to another master locks are held, extended and taken by one at a time', async (t) => {
  const setup = await clustered(t)
  const { locks, others } = setup
  const [end, counted, ttl] = [gate(), { inside: 0, runs: 0, over: false }, 600]
  const holding = locks.using(['a', 'b'], { ttl }, async ({ assertHeld }) => {
    await end.opened
    assertHeld()
    return 'done'
  })
  const counting = Promise.all([locks, others, others].map((service) => count(t, service, counted)))
  const goesOn = async (): Promise<void> => {
    const [runs, over] = [counted.runs, performance.now() + 2 * ttl]
    await until('they go on, for longer than the ttl', () => counted.runs > runs + 5 && performance.now() > over)
    t.same(await others.tryUsing('a', {}, () => t.fail('it ran')), { acquired: false })
  }
  await goesOn()
  const target = await move(setup, async () => {
    await goesOn()
    // Redis itself refuses several keys that are not there yet: TRYAGAIN
    await t.rejects(others.using(['c', 'd'], { wait: 500, ttl: 60_000 }, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' })
  })
  await goesOn()
  counted.over = true
  await counting
  end.open()
  t.equal(await holding, 'done')
  t.equal(await locks.using(['c', 'd'], { wait: 5_000 }, () => 'mine'), 'mine')
  t.equal(await withRedis(target, (redis) => redis.exists(...['a', 'b', 'c', 'd', 'counter'].map(keyOf))), 0)
})

await t.test('with their master dead locks cannot be had, the holder is told in time, and all goes on when it is back', async (t) => {
  const { locks, others, master } = await clustered(t)
  const ttl = 600
  const grant = await locks.acquire('a', { ttl })
  await master.kill()
  const aborted = until('the signal aborts', () => grant.signal.aborted, ttl + 500)
  const start = fairNow()
  await t.rejects(others.tryUsing('b', { ttl: 60_000 }, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' })
  await t.rejects(others.using('b', { wait: 300, ttl: 60_000 }, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' })
  t.ok(fairNow() - start < 2_500, `${fairNow() - start} ms`)
  await aborted
  const waiting = [locks.using('a', { wait: 20_000 }, () => 'mine'), others.using('b', { wait: 20_000 }, () => 'mine')]
  await master.start()
  t.same(await Promise.all(waiting), ['mine', 'mine'])
  t.equal(await grant.release(), false)
  await until('no key is left', async () => await withRedis(master, (redis) => redis.exists(keyOf('a'), keyOf('b'))) === 0, 3_000)
})

await t.test('a master that freezes is not waited for, and what it takes when it wakes is given back', async (t) => {
  const { locks, others, master } = await clustered(t)
  const grant = await locks.acquire('a', { ttl: 5_000 })
  master.signal('SIGSTOP')
  await t.rejects(others.tryUsing('b', { ttl: 60_000 }, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' })
  await t.rejects(others.tryUsing('a', {}, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' })
  master.signal('SIGCONT')
  t.equal(await others.using('b', { wait: 5_000 }, () => 'mine'), 'mine')
  grant.assertHeld()
  t.same(await others.tryUsing('a', {}, () => t.fail('it ran')), { acquired: false })
  t.equal(await grant.release(), true)
  t.equal(await withRedis(master, (redis) => redis.exists(keyOf('a'), keyOf('b'))), 0)
})

await t.test('a command whose answer was lost is not sent again: it would not find what it did itself', async (t) => {
  const { master } = await clustered(t)
  const proxy = await faultProxy(t, master.url)
  const proxied = { host: '127.0.0.1', port: Number(new URL(proxy.url).port) }
  const { locks } = await locksOver(t, [new Cluster([proxied], { natMap: { [new URL(master.url).host]: proxied } })])
  await locks.using('warm', {}, () => {})
  const loseAnswer = (): void => { proxy.resetOn('down', (chunk) => chunk.toString().startsWith(':1')) }
  loseAnswer()
  await t.rejects(locks.tryUsing('a', { ttl: 60_000 }, () => t.fail('it ran')), { code: 'FST_LOCKS_UNAVAILABLE' }, 'unknown, and not busy')
  await until('it is given back', async () => await withRedis(master, (redis) => redis.exists(keyOf('a'))) === 0, 3_000)
  t.equal(await locks.using('b', { wait: 5_000 }, () => { loseAnswer(); return 'done' }), 'done', 'unknown, and not lost')
})
