import { once } from 'node:events'
import { Redis } from 'ioredis'
import t from 'tap'
import { openRequestPath } from '../../../services/redis/connection.js'
import { createRedisLink } from '../../../services/idempotency/stores/redis-link.js'
import { createRedisStore } from '../../../services/idempotency/stores/redis.js'
import { until } from '../../helper.js'
import { ownRedis } from '../../own-servers.js'
import { newClaim, response } from './conformance.js'
import { linked, prefix } from './link.js'

const subscribers = async (client: Redis): Promise<number> => String(await client.client('LIST', 'TYPE', 'PUBSUB')).split('\n').filter((line) => line !== '').length
const channels = async (client: Redis): Promise<unknown[]> => await client.pubsub('CHANNELS') as unknown[]

await t.test('1,000 waiters have one connection, one subscription a key, and all of them wake', async (t) => {
  const { link, client } = await linked(t, await ownRedis(t))
  const claims = Array.from({ length: 100 }, () => newClaim())
  await Promise.all(claims.map((claim) => link.claim(claim)))
  let woken = 0
  const ends = await Promise.all(claims.flatMap(({ id }) => Array.from({ length: 10 }, () => link.subscribe(id, () => { woken++ }))))
  t.equal(await subscribers(client), 1)
  t.equal((await channels(client)).length, 100)
  await Promise.all(claims.map((claim, index) => index % 2 === 0 ? link.complete(claim, response) : link.release(claim)))
  await until('all are woken', () => woken === 1_000)
  for (const end of ends) end()
  await until('nothing is subscribed any more', async () => (await channels(client)).length === 0)
})

await t.test('of two that wait for a key the first that leaves does not end the other', async (t) => {
  const { link, client } = await linked(t, await ownRedis(t))
  const claim = newClaim()
  await link.claim(claim)
  const woken: string[] = []
  const [end] = await Promise.all([link.subscribe(claim.id, () => { woken.push('first') }), link.subscribe(claim.id, () => { woken.push('second') })])
  end()
  end()
  t.equal((await channels(client)).length, 1)
  await link.complete(claim, response)
  await until('one is woken', () => woken.length > 0)
  t.same(woken, ['second'])
})

await t.test('after a reconnect everybody is woken, and again at the completion', async (t) => {
  const { link, client } = await linked(t, await ownRedis(t))
  const claim = newClaim()
  await link.claim(claim)
  let woken = 0
  await link.subscribe(claim.id, () => { woken++ })
  await client.client('KILL', 'TYPE', 'PUBSUB')
  await until('the reconnect wakes', () => woken === 1)
  await link.complete(claim, response)
  await until('the completion wakes', () => woken === 2)
})

await t.test('a connection that was made elsewhere, and is ready already, is restored too', async (t) => {
  const server = await ownRedis(t)
  const { connection, client } = await linked(t, server)
  const subscriber = new Redis(server.url, { autoResubscribe: false })
  await once(subscriber, 'ready')
  const link = createRedisLink({ redis: connection, prefix, subscriber: () => subscriber })
  t.teardown(() => link.close())
  let woken = 0
  await link.subscribe(newClaim().id, () => { woken++ })
  await client.client('KILL', 'TYPE', 'PUBSUB')
  await until('the reconnect wakes', () => woken === 1)
})

await t.test('a subscription that cannot be had is an error within half a second, and is not there later', async (t) => {
  const server = await ownRedis(t)
  const { link, client } = await linked(t, server)
  const claim = newClaim()
  const end = await link.subscribe(claim.id, () => {})
  server.signal('SIGSTOP')
  await t.rejects(link.subscribe(newClaim().id, () => {}), /did not answer/)
  server.signal('SIGCONT')
  await until('only the first is left', async () => (await channels(client)).length === 1)
  end()
})

await t.test('after close no connection is left, and after the end of the request path neither', async (t) => {
  const server = await ownRedis(t)
  const { link, client } = await linked(t, server)
  await link.subscribe(newClaim().id, () => {})
  t.equal(await subscribers(client), 1)
  await link.close()
  await until('the subscriber is gone', async () => await subscribers(client) === 0)
  await t.rejects(link.subscribe(newClaim().id, () => {}), /closed/)

  const target = new Redis(server.url, { lazyConnect: true })
  t.teardown(() => { target.disconnect() })
  const connection = await openRequestPath(target, () => {}) as Redis
  const other = createRedisLink({ redis: connection, prefix })
  await other.subscribe(newClaim().id, () => {})
  t.equal(await subscribers(client), 1)
  connection.disconnect()
  await until('its subscriber is gone', async () => await subscribers(client) === 0)
})

await t.test('a store that waits sees the completion of another process at once, and later where SUBSCRIBE is forbidden', async (t) => {
  const server = await ownRedis(t)
  const { link, connection, client } = await linked(t, server)
  const store = createRedisStore({ redis: connection, prefix })
  for (const rules of [['allchannels'], ['resetchannels', '-subscribe']]) {
    await client.acl('SETUSER', 'default', ...rules)
    const claim = newClaim()
    await link.claim(claim)
    const waiting = store.waitFor(claim.id, claim.token, AbortSignal.timeout(10_000))
    if (rules.includes('allchannels')) await until('it waits', async () => (await channels(client)).length === 1)
    await link.complete(claim, response)
    t.match(await waiting, { state: 'completed', token: claim.token })
  }
})
