import { once } from 'node:events'
import { Cluster } from 'ioredis'
import t from 'tap'
import { settleConnect } from '../../../services/redis/settled-connect.js'
import { ownCluster, withRedis } from '../../own-servers.js'

await t.test('to connect to a Cluster that is down comes to an end once it is up, or at a disconnect', async (t) => {
  const { port, masters: [first] } = await ownCluster(t)
  if (first === undefined) throw new TypeError('it has a master')
  const client = (): Cluster => {
    const cluster = new Cluster([{ host: '127.0.0.1', port }], { lazyConnect: true })
    cluster.on('error', () => {})
    t.teardown(() => { cluster.disconnect() })
    settleConnect(cluster)
    return cluster
  }
  await withRedis(first, (redis) => redis.cluster('DELSLOTS', 0))
  const [waiting, ended] = [client(), client()]
  const connected = waiting.connect()
  const refused = ended.connect()
  await Promise.all([once(waiting, 'reconnecting'), once(ended, 'reconnecting')])
  for (let attempt = 2; attempt <= 4; attempt++) await once(waiting, 'reconnecting')
  t.same([waiting.listenerCount('ready'), waiting.listenerCount('end')], [1, 1], 'however many attempts wait')
  await once(ended, 'connect') // a disconnect between two attempts has no end
  ended.disconnect()
  await t.rejects(refused, { message: 'the connection was ended' })
  await withRedis(first, (redis) => redis.cluster('ADDSLOTS', 0))
  await connected
  t.equal(await waiting.set('key', 'value'), 'OK')
  t.same([waiting.listenerCount('ready'), waiting.listenerCount('end')], [0, 0])
})
