import { Redis } from 'ioredis'
import t from 'tap'
import { until } from '../../helper.js'
import { ownRedis } from '../../own-servers.js'
import { gate } from '../../plugins/idempotency/helper.js'
import { again, newClaim, response } from './conformance.js'
import { instance, ownPostgres, served } from './instance.js'
import type { Instance } from './instance.js'

const back = (one: Instance): Promise<unknown> => until('Redis is used again', one.usesRedis)
const away = (one: Instance): Promise<unknown> => until('Redis is given up', () => !one.usesRedis())

await t.test('an instance that is still settling and one that never saw the outage do not both take a key', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const late = await instance(t, server, postgres, (link) => link, { settle: 60_000 })
  await server.kill()
  const [lost, claim, other] = [newClaim(), newClaim(), newClaim()]
  await late.store.claim(lost)
  await late.store.release(lost)
  await server.start()
  await back(late)
  const early = await instance(t, server, postgres)
  await early.store.claim(newClaim()) // learns that Postgres knows nothing
  t.match(await late.store.claim(claim), { state: 'claimed' })
  t.match(await early.store.claim(again(claim)), { state: 'running', token: claim.token })
  t.match(await early.store.claim(other), { state: 'claimed' })
  t.match(await late.store.claim(again(other)), { state: 'running', token: other.token })
  t.equal(await postgres.get(other.id), null, 'the claim that Postgres gave for the asking was given back')
  await late.store.complete(claim, response)
  t.match(await early.store.claim(again(claim)), { state: 'completed' })
})

await t.test('a second outage while the first one settles is settled from its own end', async (t) => {
  const settle = 2_000
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const one = await instance(t, server, postgres, (link) => link, { settle })
  for (let outage = 0; outage < 2; outage++) {
    await server.kill()
    await away(one)
    await one.store.claim(newClaim())
    await server.start()
    await back(one)
  }
  const start = performance.now()
  await served(one)
  const took = performance.now() - start
  t.ok(took > settle - 200, `${Math.round(took)} ms`)
})

await t.test('what was claimed in Postgres and left by a crash is known as recovered in Redis', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const one = await instance(t, server, postgres)
  await server.kill()
  const claim = newClaim({ lease: 50 })
  await one.store.claim(claim)
  await server.start()
  await served(one)
  t.match(await one.store.claim(again(claim, { fingerprint: '22'.repeat(32) })), { fingerprint: claim.fingerprint }, 'another request is still a mistake')
  t.strictSame(await one.store.claim(again(claim)), { state: 'claimed', recovered: true })
})

await t.test('what a crash left in Redis is known as recovered while settling', async (t) => {
  const [server, postgres] = [await ownRedis(t, { persistent: true }), await ownPostgres(t)]
  const one = await instance(t, server, postgres, (link) => link, { settle: 60_000 })
  const claim = newClaim({ lease: 50 })
  await one.redis.claim(claim)
  await server.kill()
  await away(one)
  await one.store.claim(newClaim())
  await server.start()
  await back(one)
  t.strictSame(await one.store.claim(again(claim)), { state: 'claimed', recovered: true })
})

await t.test('a process that starts while another still works with Postgres does not take its keys, nor the other way round', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const stuck = await instance(t, server, postgres, (link) => link, { retryAfter: 60_000 })
  await server.kill()
  const decided = newClaim()
  await stuck.store.claim(decided)
  await server.start()
  const fresh = await instance(t, server, postgres)
  const claim = newClaim()
  t.match(await fresh.store.claim(again(decided)), { state: 'running', token: decided.token })
  t.match(await fresh.store.claim(claim), { state: 'claimed' })
  t.match(await stuck.store.claim(again(claim)), { state: 'running', token: claim.token })
})

await t.test('a process that finds Redis empty at its start lets the others make their claims again first', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const client = new Redis(server.url)
  t.teardown(() => { client.disconnect() })
  const one = await instance(t, server, postgres)
  const claim = newClaim()
  await one.store.claim(claim)
  const fresh = await instance(t, server, postgres, (link) => ({ ...link, async renew () { await client.flushall(); return await link.renew() } }))
  t.match(await fresh.store.claim(again(claim)), { state: 'running', token: claim.token })
})

await t.test('claims wait from the moment that a loss is found, not from when own claims are made again', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const client = new Redis(server.url)
  t.teardown(() => { client.disconnect() })
  const own = newClaim()
  const [remaking, remade] = [gate(), gate()]
  let isFlushed = false
  const one = await instance(t, server, postgres, (link) => ({
    ...link,
    async claim (claim) {
      if (isFlushed && claim.id === own.id) {
        remaking.open()
        await remade.opened
      }
      return await link.claim(claim)
    }
  }), { probe: 60_000 })
  const other = await instance(t, server, postgres, (link) => link, { probe: 60_000 })
  const claim = newClaim()
  await one.store.claim(own)
  await other.store.claim(claim)
  isFlushed = true
  await client.flushall()
  const first = one.store.claim(newClaim())
  await remaking.opened
  const duplicate = one.store.claim(again(claim))
  await other.store.claim(newClaim()) // which finds the loss as well, and makes its own again
  remade.open()
  t.match(await duplicate, { state: 'running', token: claim.token })
  t.match(await first, { state: 'claimed' })
})

await t.test('what a promoted replica lacks is asked of Postgres for as long as it lives, also by processes that start later, whatever was noted before', async (t) => {
  const [server, postgres] = [await ownRedis(t, { persistent: true }), await ownPostgres(t)]
  const client = new Redis(server.url)
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  const one = await instance(t, server, postgres)
  const claim = newClaim({ guarantee: 'mirrored' })
  await one.store.claim(claim)
  await one.store.complete(claim, response)
  await until('it is mirrored', () => postgres.get(claim.id))
  await client.set('test:recovery', '1', 'PX', 30_000)
  await client.del(`test:${claim.id}`)
  await server.kill()
  await server.start()
  await served(one)
  one.skip(31_000)
  t.match(await one.store.claim(again(claim)), { state: 'completed' })
  const fresh = await instance(t, server, postgres)
  fresh.skip(31_000)
  t.match(await fresh.store.claim(again(claim)), { state: 'completed' })
})
