import { Cluster } from 'ioredis'
import t from 'tap'
import { openRequestPath } from '../../../services/redis/connection.js'
import { createRedisLink } from '../../../services/idempotency/stores/redis-link.js'
import { createRedisStore } from '../../../services/idempotency/stores/redis.js'
import { testPrefix, until } from '../../helper.js'
import { ownCluster } from '../../own-servers.js'
import { conformance, newClaim, response } from './conformance.js'

const { port } = await ownCluster(t)
const client = new Cluster([{ port, host: '127.0.0.1' }])
const redis = await openRequestPath(client, (error) => { throw error })
t.teardown(() => { redis.disconnect(); client.disconnect() })

await conformance(t, 'redis cluster', createRedisStore({ redis, prefix: testPrefix() }))

await t.test('in Cluster the generation is not compared, and everything else works', async (t) => {
  const link = createRedisLink({ redis, prefix: testPrefix() })
  t.teardown(() => link.close())
  await link.probe()
  t.match(await link.renew(), { changed: false, lost: true, recoveryLeft: 0 })
  await link.announce(60_000)
  t.ok((await link.renew()).recoveryLeft > 50_000)
  const claims = Array.from({ length: 300 }, () => newClaim())
  t.ok((await Promise.all(claims.map((claim) => link.claim(claim)))).every(({ state }) => state === 'claimed'))
  const [claim = newClaim()] = claims
  let woken = false
  await link.subscribe(claim.id, () => { woken = true })
  t.equal(await link.complete(claim, response), 'held')
  await until('the completion wakes', () => woken)
})
