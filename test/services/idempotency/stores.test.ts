import { PrismaPg } from '@prisma/adapter-pg'
import t from 'tap'
import { PrismaClient } from '../../../prisma/generated/client.js'
import { openFailoverStore } from '../../../services/idempotency/stores/failover.js'
import { createMemoryStore } from '../../../services/idempotency/stores/memory.js'
import { createPostgresStore } from '../../../services/idempotency/stores/postgres.js'
import { openRequestPath } from '../../../services/idempotency/stores/redis-connection.js'
import { createRedisLink } from '../../../services/idempotency/stores/redis-link.js'
import { createRedisStore } from '../../../services/idempotency/stores/redis.js'
import { silentLog } from '../../../services/log.js'
import { testPool, testPrefix, testRedis } from '../../helper.js'
import { conformance } from './conformance.js'

const pool = await testPool(t)
const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
// The connection that the plugin uses: ioredis behaves otherwise under auto-pipelining.
const redis = await openRequestPath(testRedis(t), (error) => { throw error })
t.teardown(() => { redis.disconnect() })

await conformance(t, 'memory', async () => createMemoryStore())
await conformance(t, 'redis', async () => createRedisStore({ redis, prefix: testPrefix() }))
await conformance(t, 'postgres by pg', async () => createPostgresStore({ postgres: pool }))
await conformance(t, 'postgres by Prisma', async () => createPostgresStore({ postgres: prisma }))
await conformance(t, 'failover', async (t) => {
  const prefix = testPrefix()
  const store = await openFailoverStore({
    redis: (onConnectionLost) => createRedisLink({ redis, prefix, onConnectionLost }),
    postgres: createPostgresStore({ postgres: pool }),
    log: silentLog
  })
  t.teardown(() => store.close())
  return store
})
