import { PrismaPg } from '@prisma/adapter-pg'
import t from 'tap'
import { PrismaClient } from '../../../prisma/generated/client.js'
import { openFailoverStore } from '../../../services/idempotency/stores/failover.js'
import { createMemoryStore } from '../../../services/idempotency/stores/memory.js'
import { createPostgresStore } from '../../../services/idempotency/stores/postgres.js'
import { openRequestPath } from '../../../services/redis/connection.js'
import { createRedisLink } from '../../../services/idempotency/stores/redis-link.js'
import { createRedisStore } from '../../../services/idempotency/stores/redis.js'
import { silentLog } from '../../../services/log.js'
import { testPool, testPrefix, testRedis } from '../../helper.js'
import { conformance, withGuarantee } from './conformance.js'

const pool = await testPool(t)
const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
// The connection that the plugin uses: ioredis behaves otherwise under auto-pipelining.
const redis = await openRequestPath(testRedis(t), (error) => { throw error })
t.teardown(() => { redis.disconnect() })

const prefix = testPrefix()
const failover = await openFailoverStore({
  redis: (onConnectionLost) => createRedisLink({ redis, prefix, onConnectionLost }),
  postgres: createPostgresStore({ postgres: pool }),
  log: silentLog
})
t.teardown(() => failover.close())

await conformance(t, 'memory', createMemoryStore())
await conformance(t, 'redis', createRedisStore({ redis, prefix: testPrefix() }))
await conformance(t, 'postgres by pg', createPostgresStore({ postgres: pool }))
await conformance(t, 'postgres by Prisma', createPostgresStore({ postgres: prisma }))
await conformance(t, 'failover, fast', failover)
await conformance(t, 'failover, mirrored', withGuarantee('mirrored', failover))
