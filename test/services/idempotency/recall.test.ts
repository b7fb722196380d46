import t from 'tap'
import { until } from '../../helper.js'
import { ownRedis } from '../../own-servers.js'
import { again, newClaim, response } from './conformance.js'
import { instance, ownPostgres, served } from './instance.js'

await t.test('what was finished in Postgres during the outage replays when Redis is back, and another body is still a mistake', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const one = await instance(t, server, postgres)
  await server.kill()
  const claim = newClaim()
  await one.store.claim(claim)
  await one.store.complete(claim, response)
  await server.start()
  await served(one)
  t.match(await one.store.claim(again(claim)), { state: 'completed', response: { status: 201 } })
  t.match(await one.store.claim(again(claim, { fingerprint: '22'.repeat(32) })), { fingerprint: claim.fingerprint })
  t.equal(await one.redis.get(claim.id), null, 'the claim that Redis gave for the asking was given back')
})

await t.test('what runs in Postgres is seen as running when Redis is back, and is finished there', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const one = await instance(t, server, postgres)
  await server.kill()
  const claim = newClaim()
  await one.store.claim(claim)
  await server.start()
  await served(one)
  t.match(await one.store.claim(again(claim)), { state: 'running', token: claim.token })
  t.equal(await one.store.complete(claim, response), true)
  t.match(await one.store.claim(again(claim)), { state: 'completed' })
})

await t.test('an instance that had no traffic during the outage knows what the others did in it', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const [busy, idle] = [await instance(t, server, postgres), await instance(t, server, postgres)]
  await idle.store.claim(newClaim())
  await server.kill()
  const [finished, running] = [newClaim(), newClaim()]
  await busy.store.claim(finished)
  await busy.store.complete(finished, response)
  await busy.store.claim(running)
  await server.start()
  await idle.reconnected()
  idle.skip(1_000)
  t.match(await idle.store.claim(again(finished)), { state: 'completed' })
  t.match(await idle.store.claim(again(running)), { state: 'running' })
})

await t.test('a route with a short retention does not shorten how long the others are remembered', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const claim = newClaim()
  await postgres.claim(claim)
  await postgres.complete(claim, response)
  const one = await instance(t, server, postgres)
  await server.kill()
  const short = newClaim({ lease: 1, retention: 1 })
  await one.store.claim(short)
  await server.start()
  await served(one)
  t.match(await one.store.claim(again(claim)), { state: 'completed' })
})

await t.test('when Postgres cannot say at the start what it knows, the claim fails and Redis has it back', async (t) => {
  const postgres = await ownPostgres(t)
  const one = await instance(t, await ownRedis(t), { ...postgres, lifetime: async () => { throw new Error('Postgres is down') } })
  const claim = newClaim()
  await t.rejects(one.store.claim(claim), /Postgres is down/)
  t.equal(await one.redis.get(claim.id), null)
})

await t.test('without an outage of Redis, one of Postgres does not matter', async (t) => {
  const postgres = await ownPostgres(t)
  let isDown = false
  const refuse = async (): Promise<never> => { throw new Error('Postgres is down') }
  const one = await instance(t, await ownRedis(t), {
    ...postgres,
    lifetime: (what) => isDown ? refuse() : postgres.lifetime(what),
    get: (id) => isDown ? refuse() : postgres.get(id)
  })
  await one.store.claim(newClaim())
  isDown = true
  one.skip(1_000)
  const claim = newClaim()
  t.same(await one.store.claim(claim), { state: 'claimed', recovered: false })
  t.equal(await one.store.complete(claim, response), true)
  t.match(await one.store.claim(again(claim)), { state: 'completed' })
})

await t.test('a claim whose reply from Redis was lost, and which was then finished in Postgres, is not run again by an instance that saw no outage', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const witness = await instance(t, server, postgres)
  const unlucky = await instance(t, server, postgres, (link) => ({ ...link, claim: async (claim) => { await link.claim(claim); throw new Error('the reply was lost') } }))

  const claim = newClaim({ lease: 50 })
  t.equal((await unlucky.store.claim(claim)).state, 'claimed')
  t.equal(await unlucky.store.complete(claim, response), true)
  const seen = await until('the lease of what was left in Redis is over', async () => {
    const result = await witness.store.claim(again(claim))
    return result.state === 'running' ? null : result
  })
  t.match(seen, { state: 'completed', token: claim.token })
})
