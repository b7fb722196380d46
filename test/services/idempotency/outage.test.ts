import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import type { Claim } from '../../../services/idempotency/record.js'
import type { RedisLink } from '../../../services/idempotency/stores/redis-link.js'
import { until } from '../../helper.js'
import { ownRedis } from '../../own-servers.js'
import { gate } from '../../plugins/idempotency/helper.js'
import { again, newClaim, response } from './conformance.js'
import { instance, ownPostgres, served } from './instance.js'

const refuse = async (): Promise<never> => { throw new Error('Postgres is down') }

await t.test('a duplicate goes on waiting for what runs in Redis while Postgres is down', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  let [isDown, looks] = [false, 0]
  const link = (link: RedisLink): RedisLink => ({ ...link, get: async (id) => { const found = await link.get(id); looks++; return found } })
  const [one, other] = [await instance(t, server, postgres), await instance(t, server, { ...postgres, get: (id) => isDown ? refuse() : postgres.get(id) }, link)]
  const claim = newClaim()
  await one.store.claim(claim)
  await other.store.claim(again(claim))
  isDown = true
  const looked = until('the duplicate has looked', () => looks > 1)
  const [ended] = await Promise.all([other.store.waitFor(claim.id, claim.token, AbortSignal.timeout(5_000)), looked.then(() => one.store.complete(claim, response))])
  t.match(ended, { state: 'completed' })
})

await t.test('claims do not wait for ever for completions that Postgres does not take', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  let isDown = true
  const one = await instance(t, server, { ...postgres, finish: (...records) => isDown ? refuse() : postgres.finish(...records) })
  const claim = newClaim({ guarantee: 'mirrored' })
  await one.store.claim(claim)
  await one.store.complete(claim, response)
  await server.kill()
  t.match(await Promise.race([one.store.claim(newClaim()), delay(4_000, { state: 'hangs' })]), { state: 'claimed' }) // how long it may take at most
  isDown = false
  await until('the completion is mirrored', () => postgres.get(claim.id))
})

await t.test('claims that Postgres could not take over when Redis was lost are taken over when it can', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  let isDown = true
  const one = await instance(t, server, { ...postgres, hold: (claims) => isDown ? refuse() : postgres.hold(claims) })
  const claim = newClaim()
  await one.store.claim(claim)
  await server.kill()
  await one.store.claim(newClaim())
  t.equal(await postgres.get(claim.id), null)
  isDown = false
  t.match(await until('the claim is taken over', () => postgres.get(claim.id), 3_000), { state: 'running', token: claim.token })
})

await t.test('a claim that nobody ends is forgotten with its lease, and not handed over', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const held: Claim[] = []
  const one = await instance(t, server, { ...postgres, hold: (claims) => { held.push(...claims); return postgres.hold(claims) } })
  const [claim, window] = [newClaim(), newClaim({ lease: 100, retention: 100 })]
  await one.store.claim(claim)
  await one.store.claim(window)
  await until('the window is over', async () => await one.redis.get(window.id) === null)
  await server.kill()
  await one.store.claim(newClaim())
  t.strictSame(held.map(({ id }) => id), [claim.id])
})

await t.test('a claim whose answer came after the others were handed over is made in Postgres too', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  let answer = (): void => {}
  const claim = newClaim()
  const one = await instance(t, server, postgres, (link) => ({
    ...link,
    async claim (asked) {
      const result = await link.claim(asked)
      if (asked.id === claim.id) await new Promise<void>((resolve) => { answer = resolve })
      return result
    }
  }))
  const other = await instance(t, server, postgres)
  const claimed = one.store.claim(claim)
  await until('Redis has it', () => other.redis.get(claim.id))
  await server.kill()
  await one.store.claim(newClaim())
  answer()
  t.match(await claimed, { state: 'claimed' })
  t.match(await other.store.claim(again(claim)), { state: 'running', token: claim.token })
})

await t.test('a key that is given back while its claim is handed over is free', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const [held, answered] = [gate(), gate()]
  const slowly = async (claims: readonly Claim[]): Promise<boolean[]> => {
    const answer = await postgres.hold(claims)
    held.open()
    await answered.opened
    return answer
  }
  const one = await instance(t, server, { ...postgres, hold: slowly })
  const claim = newClaim()
  await one.store.claim(claim)
  await server.kill()
  await held.opened
  const released = one.store.release(claim)
  t.match(await postgres.get(claim.id), { state: 'running', token: claim.token }, 'Postgres has it, and the process does not know yet')
  answered.open()
  t.equal(await released, true)
  t.match(await one.store.claim(again(claim)), { state: 'claimed' })
})

await t.test('an answer given while the connection was reset is in Redis when it is back', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const [one, other] = [await instance(t, server, postgres), await instance(t, server, postgres)]
  const claim = newClaim()
  await one.store.claim(claim)
  await one.reset()
  t.equal(await one.store.complete(claim, response), true)
  t.match(await other.store.claim(again(claim)), { state: 'completed' })
  t.match(await other.redis.get(claim.id), { state: 'completed' })
})

await t.test('leases in Redis are extended while Postgres is down, also of claims that Postgres knows', async (t) => {
  const [server, postgres] = [await ownRedis(t, { persistent: true }), await ownPostgres(t)]
  let isDown = false
  const one = await instance(t, server, { ...postgres, hold: (claims) => isDown ? refuse() : postgres.hold(claims), finish: (...records) => isDown ? refuse() : postgres.finish(...records) })
  const claim = newClaim()
  await one.store.claim(claim)
  await server.kill()
  await one.store.claim(newClaim())
  await server.start()
  await served(one)
  isDown = true
  t.strictSame(await one.store.extend([claim]), [true])
  t.equal(await one.store.complete(claim, response), true)
  isDown = false
  await until('the completion is mirrored', async () => (await postgres.get(claim.id))?.state === 'completed')
})

await t.test('a claim whose extension meets a frozen Redis is not lost', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const one = await instance(t, server, postgres, (link) => link, { probe: 60_000 })
  const claim = newClaim()
  await one.store.claim(claim)
  server.signal('SIGSTOP')
  t.teardown(() => { server.signal('SIGCONT') })
  t.strictSame(await one.store.extend([claim]), [true])
  t.match(await postgres.get(claim.id), { state: 'running', token: claim.token })
})
