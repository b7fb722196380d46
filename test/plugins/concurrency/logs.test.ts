import { Writable } from 'node:stream'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import concurrency from '../../../plugins/concurrency/index.js'
import { named } from './helper.js'

await t.test('a breaker that opens and a limiter that loses its Redis are logged with their names', async (t) => {
  const lines: Array<{ msg: string, level: number }> = []
  const stream = new Writable({ write (line, _encoding, done) { lines.push(JSON.parse(String(line)) as { msg: string, level: number }); done() } })
  const app = Fastify({ logger: { level: 'info', stream } })
  const redis = new Redis({ port: 1, lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 })
  redis.on('error', () => { /* what the test is about */ })
  t.teardown(() => { redis.disconnect(); return app.close() })
  await app.register(concurrency, { ...named, redis })
  await t.rejects(app.concurrency.breaker('database').run(() => { throw new Error('down') }))
  for (let use = 0; use < 2; use++) await app.concurrency.limiter('api').consume('me')
  t.match(lines, [{ plugin: 'concurrency', level: 40, breaker: 'database', state: 'open' }, { plugin: 'concurrency', level: 40, limiter: 'api', err: { message: /./ } }])
  t.equal(lines.length, 2)
})
