// A process of the tests: paused.ts <database URL> <redis URL> <prefix> <backend>. It takes a lock, and writes with its token when it is told to, without looking whether it still has it.
import { once } from 'node:events'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import pg from 'pg'
import locks, { assertFenced } from '../../../plugins/locks/index.js'

const [database = '', url = '', prefix = '', backend = ''] = process.argv.slice(2)
const [postgres, redis, app] = [new pg.Pool({ connectionString: database }), new Redis(url), Fastify()]
await app.register(locks, { redis, postgres, prefix })

let changed: number | null = null
const working = app.locks.using('document', { backend: backend as 'redis', ttl: 500, fencing: true }, async (grant) => {
  console.log('held')
  await once(process.stdin, 'data')
  changed = (await postgres.query("UPDATE documents SET body = 'late', fence = $1 WHERE fence <= $1", [grant.token])).rowCount
  assertFenced(changed, grant)
})
const code = await working.then(() => null, (error: { code: string }) => error.code)
console.log(JSON.stringify({ changed, code }))
await app.close()
await postgres.end()
redis.disconnect()
process.stdin.destroy()
