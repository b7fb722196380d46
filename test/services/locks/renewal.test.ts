import t from 'tap'
import { until } from '../../helper.js'
import { callsOf } from '../idempotency/link.js'
import { keyOf, locksOver, proxied } from './helper.js'

const ttl = 900

await t.test('what is released while its extension is under way is gone, and is never extended again', async (t) => {
  const { locks, proxy, client } = await proxied(t)
  const grant = await locks.acquire('a', { ttl })
  proxy.delay(100, 'down')
  await until('an extension is under way', async () => await callsOf(client, 'pexpire') === 1)
  t.equal(await grant.release(), true)
  t.equal(await client.exists(keyOf('a')), 0)
  const end = performance.now() + ttl
  await until('the next extension would have come', () => performance.now() > end)
  t.equal(await callsOf(client, 'evalsha') + await callsOf(client, 'eval'), 3, 'taken, extended, released')
})

await t.test('an extension and a release that arrive late leave the next holder\'s lock alone', async (t) => {
  const { locks, proxy, client } = await proxied(t)
  const { locks: others } = await locksOver(t, [client.duplicate()])
  const grant = await locks.acquire('a', { ttl })
  proxy.blackHole('up')
  await until('it is lost', () => grant.signal.aborted)
  t.equal(await grant.release(), false)
  const next = await others.acquire('a', { ttl: 30_000, wait: 5_000 })
  const value = await client.get(keyOf('a'))
  await client.config('RESETSTAT')
  proxy.heal()
  await until('both have arrived', async () => await callsOf(client, 'evalsha') + await callsOf(client, 'eval') >= 2)
  t.equal(await client.get(keyOf('a')), value)
  t.ok(await client.pttl(keyOf('a')) > 15_000)
  next.assertHeld()
  t.equal(await next.release(), true)
})
