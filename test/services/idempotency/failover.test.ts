import { Redis } from 'ioredis'
import type { Test } from 'tap'
import t from 'tap'
import { createFailoverStore } from '../../../services/idempotency/stores/failover.js'
import { createPostgresStore } from '../../../services/idempotency/stores/postgres.js'
import type { PostgresStore } from '../../../services/idempotency/stores/postgres.js'
import { openRequestPath } from '../../../services/idempotency/stores/redis-connection.js'
import { createRedisStore } from '../../../services/idempotency/stores/redis.js'
import type { IdempotencyStore } from '../../../services/idempotency/store.js'
import { silentLog } from '../../../services/log.js'
import { until } from '../../helper.js'
import { ownRedis } from '../../own-servers.js'
import { testPool } from '../../plugins/idempotency/helper.js'
import { again, newClaim, response } from './conformance.js'

const retryAfter = 200
const commandTimeout = 500

interface Instance {
  store: IdempotencyStore
  redis: IdempotencyStore
  /** Lets time pass for the store's own clock, ms. */
  skip: (ms: number) => void
  /** Until its Redis connection is ready. */
  reconnected: () => Promise<void>
}

/** What one process of the application has, over the connection that the plugin makes. */
async function instance (t: Test, { url }: { url: string }, postgres: PostgresStore): Promise<Instance> {
  const client = new Redis(url, { lazyConnect: true })
  const connection = await openRequestPath(client, () => {})
  t.teardown(() => { connection.disconnect(); client.disconnect() })
  const redis = createRedisStore({ redis: connection, prefix: 'test' })
  let skipped = 0
  const store = createFailoverStore({ redis, postgres, log: silentLog, retryAfter, now: () => performance.now() + skipped })
  return { store, redis, skip: (ms) => { skipped += ms }, reconnected: async () => { await until('Redis is connected again', () => connection.status === 'ready') } }
}

async function ownPostgres (t: Test): Promise<PostgresStore> {
  return createPostgresStore({ postgres: await testPool(t) })
}

/** Until claims are made in Redis again. */
async function served (by: Instance): Promise<void> {
  await by.reconnected()
  await until('claims are made in Redis again', async () => {
    const claim = newClaim()
    await by.store.claim(claim)
    return await by.redis.get(claim.id) !== null
  })
}

await t.test('claims are made in Redis while it is there', async (t) => {
  const postgres = await ownPostgres(t)
  const one = await instance(t, await ownRedis(t), postgres)
  const claim = newClaim()
  t.same(await one.store.claim(claim), { state: 'claimed', recovered: false })
  t.match(await one.redis.get(claim.id), { state: 'running' })
  t.equal(await postgres.get(claim.id), null)
})

await t.test('claims go on in Postgres when Redis was killed, with the same answers', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const [one, other] = [await instance(t, server, postgres), await instance(t, server, postgres)]
  await server.kill()
  const claim = newClaim()
  t.same(await one.store.claim(claim), { state: 'claimed', recovered: false })
  t.match(await other.store.claim(again(claim)), { state: 'running', token: claim.token })
  t.equal(await one.store.complete(claim, response), true)
  t.match(await other.store.claim(again(claim)), { state: 'completed', token: claim.token })
  const failed = newClaim()
  await one.store.claim(failed)
  t.equal(await one.store.release(failed), true)
  t.same(await other.store.claim(again(failed)), { state: 'claimed', recovered: false })
})

await t.test('a process that starts while Redis is down works with Postgres, and uses Redis when it comes', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  await server.kill()
  const one = await instance(t, server, postgres)
  const claim = newClaim()
  t.same(await one.store.claim(claim), { state: 'claimed', recovered: false })
  t.equal(await one.store.complete(claim, response), true)
  await server.start()
  await served(one)
  t.match(await one.store.claim(again(claim)), { state: 'completed' })
})

await t.test('a claim made in Redis is finished in Postgres when Redis has died, and replays there and after', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const one = await instance(t, server, postgres)
  const claim = newClaim()
  await one.store.claim(claim)
  await server.kill()
  t.equal(await one.store.complete(claim, response), true)
  t.match(await postgres.get(claim.id), { state: 'completed', token: claim.token })
  t.match(await one.store.claim(again(claim)), { state: 'completed' })
  await server.start()
  await served(one)
  t.match(await one.store.claim(again(claim)), { state: 'completed' })
})

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

await t.test('a frozen Redis costs about three command timeouts, then nothing, and is used again when it thaws', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const one = await instance(t, server, postgres)
  await one.store.claim(newClaim())
  server.signal('SIGSTOP')
  t.teardown(() => { server.signal('SIGCONT') })
  const claims = Array.from({ length: 10 }, () => newClaim())
  const start = performance.now()
  const took: number[] = []
  for (const claim of claims) {
    const begin = performance.now()
    t.same(await one.store.claim(claim), { state: 'claimed', recovered: false })
    t.equal(await one.store.complete(claim, response), true)
    took.push(performance.now() - begin)
  }
  t.ok(performance.now() - start < 3 * commandTimeout + 10 * retryAfter, `took ${took.map(Math.round).join(', ')} ms`)
  t.ok(took.filter((ms) => ms >= commandTimeout).length <= 5, `took ${took.map(Math.round).join(', ')} ms: three, and one for each try whether it is back`)
  server.signal('SIGCONT')
  await served(one)
  for (const claim of claims) t.match(await one.store.claim(again(claim)), { state: 'completed' })
})

await t.test('many claims at once meet a frozen Redis together, not one after the other', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const one = await instance(t, server, postgres)
  await one.store.claim(newClaim())
  server.signal('SIGSTOP')
  t.teardown(() => { server.signal('SIGCONT') })
  const start = performance.now()
  const results = await Promise.all(Array.from({ length: 50 }, async (_, index) => {
    await new Promise((resolve) => setTimeout(resolve, index * 10)) // requests as they come
    return await one.store.claim(newClaim())
  }))
  t.ok(results.every(({ state }) => state === 'claimed'))
  const took = performance.now() - start
  t.ok(took < 500 + 3 * commandTimeout, `took ${Math.round(took)} ms`)
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
    lifetime: () => isDown ? refuse() : postgres.lifetime(),
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
  const server = await ownRedis(t)
  const postgres = await ownPostgres(t)
  const witness = await instance(t, server, postgres)
  const busy = createFailoverStore({ redis: witness.redis, postgres, log: silentLog, now: () => 0 }) // never idle, so it does not ask for outages
  await busy.claim(newClaim())
  const lossy: IdempotencyStore = { ...witness.redis, claim: async (claim) => { await witness.redis.claim(claim); throw new Error('the reply was lost') } }
  const unlucky = createFailoverStore({ redis: lossy, postgres, log: silentLog })

  const claim = newClaim({ lease: 50 })
  t.equal((await unlucky.claim(claim)).state, 'claimed')
  t.equal(await unlucky.complete(claim, response), true)
  const seen = await until('the lease of what was left in Redis is over', async () => {
    const result = await busy.claim(again(claim))
    return result.state === 'running' ? null : result
  })
  t.match(seen, { state: 'completed', token: claim.token })
})
