import t from 'tap'
import { createRedisStore } from '../../../services/idempotency/stores/redis.js'
import { ownRedis } from '../../own-servers.js'
import { again, newClaim, response } from './conformance.js'
import { linked, prefix } from './link.js'

await t.test('a flush while the handler runs leaves the answer to replay', async (t) => {
  const { connection, client } = await linked(t, await ownRedis(t))
  const store = createRedisStore({ redis: connection, prefix })
  const claim = newClaim()
  t.same(await store.claim(claim), { state: 'claimed', recovered: false })
  await client.flushall()
  t.equal(await store.complete(claim, response), true)
  t.match(await store.claim(again(claim)), { state: 'completed', token: claim.token })
})

await t.test('an extended claim that Redis has lost is made again', async (t) => {
  const { connection, client } = await linked(t, await ownRedis(t))
  const store = createRedisStore({ redis: connection, prefix })
  const [lost, unknown] = [newClaim(), newClaim()]
  await store.claim(lost)
  await client.flushall()
  t.same(await store.extend([unknown, lost]), [false, true])
  t.match(await store.claim(again(lost)), { state: 'running', token: lost.token })
})

await t.test('a claim that was lost and taken by another attempt is not completed', async (t) => {
  const { connection, client } = await linked(t, await ownRedis(t))
  const store = createRedisStore({ redis: connection, prefix })
  const lost = newClaim()
  const next = again(lost)
  await store.claim(lost)
  await client.flushall()
  t.same(await store.claim(next), { state: 'claimed', recovered: false })
  t.same([await store.complete(lost, response), await store.extend([lost]), await store.release(lost)], [false, [false], false])
  t.match(await store.get(lost.id), { state: 'running', token: next.token })
})
