import t from 'tap'
import { answerTimeout } from '../../../services/redis/deadline.js'
import { fairNow } from '../../fair-clock.js'
import { until } from '../../helper.js'
import { ownRedis } from '../../own-servers.js'
import { again, newClaim, response } from './conformance.js'
import { instance, ownPostgres, retryAfter, served } from './instance.js'

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

await t.test('a frozen Redis costs about three command timeouts, then nothing, and is used again when it thaws', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const one = await instance(t, server, postgres)
  await one.store.claim(newClaim())
  server.signal('SIGSTOP')
  t.teardown(() => { server.signal('SIGCONT') })
  const claims = Array.from({ length: 10 }, () => newClaim())
  const start = fairNow()
  const took: number[] = []
  for (const claim of claims) {
    const begin = performance.now()
    t.same(await one.store.claim(claim), { state: 'claimed', recovered: false })
    t.equal(await one.store.complete(claim, response), true)
    took.push(performance.now() - begin)
  }
  t.ok(fairNow() - start < 3 * answerTimeout + 10 * retryAfter, `took ${took.map(Math.round).join(', ')} ms`)
  t.ok(took.filter((ms) => ms >= answerTimeout).length <= 5, `took ${took.map(Math.round).join(', ')} ms: three, and one for each try whether it is back`)
  server.signal('SIGCONT')
  await served(one)
  for (const claim of claims) t.match(await one.store.claim(again(claim)), { state: 'completed' })
})

await t.test('what is given back while Redis hangs, or was claimed then, is free when it thaws, whether or not it had answered the claim', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const one = await instance(t, server, postgres)
  const [answered, unanswered, late, failed] = [newClaim(), newClaim(), newClaim(), newClaim()]
  await one.store.claim(answered)
  server.signal('SIGSTOP')
  t.teardown(() => { server.signal('SIGCONT') })
  const claim = postgres.claim
  postgres.claim = (wanted) => wanted === failed ? Promise.reject(new Error('Postgres is away too')) : claim(wanted)
  const failing = t.rejects(one.store.claim(failed), { message: 'Postgres is away too' })
  await Promise.all([unanswered, late].map((wanted) => one.store.claim(wanted)))
  await failing
  for (const wanted of [answered, unanswered]) t.equal(await one.store.release(wanted), true)
  server.signal('SIGCONT')
  await served(one)
  t.equal(await one.store.release(late), true)
  for (const { id } of [answered, unanswered, late, failed]) await until('Redis has nothing of it', async () => await one.redis.get(id) === null)
  for (const wanted of [answered, unanswered, late, failed]) t.same(await one.store.claim(again(wanted)), { state: 'claimed', recovered: false })
})

await t.test('many claims at once meet a frozen Redis together, not one after the other', async (t) => {
  const [server, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const one = await instance(t, server, postgres)
  await one.store.claim(newClaim())
  server.signal('SIGSTOP')
  t.teardown(() => { server.signal('SIGCONT') })
  const start = fairNow()
  const results = await Promise.all(Array.from({ length: 50 }, async (_, index) => {
    await new Promise((resolve) => setTimeout(resolve, index * 10)) // that they come over half a second is the subject: some meet the first timeouts, some what comes after
    return await one.store.claim(newClaim())
  }))
  t.ok(results.every(({ state }) => state === 'claimed'))
  const took = fairNow() - start
  t.ok(took < 10 * answerTimeout, `took ${Math.round(took)} ms`)
})
