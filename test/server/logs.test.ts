import { randomUUID } from 'node:crypto'
import { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import type { Test } from 'tap'
import { buildServer } from '../../server.js'
import { loadConfig } from '../../services/config/index.js'
import { until } from '../helper.js'
import { ownPostgres, ownRedis } from '../own-servers.js'
import type { OwnServer } from '../own-servers.js'
import { credentials, jwtSecret, logIn, testEnvironment } from './helper.js'

const canary = `canary${randomUUID().replaceAll('-', '')}`
const url = `https://example.com/${canary}-body`

interface Logged {
  app: FastifyInstance
  redis: OwnServer
  postgres: OwnServer
  log: () => string
  token: string
  share: (key: string, body?: unknown) => Promise<number>
}

/** What is written, and how to read it. */
function collected (): [Writable, () => string] {
  let text = ''
  const stream = new Writable({
    write (chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    }
  })
  return [stream, () => text]
}

/** The server in this process with all its log, between a Redis and a Postgres of its own. */
async function logged (t: Test): Promise<Logged> {
  const [redis, postgres] = [await ownRedis(t), await ownPostgres(t)]
  const { databaseUrl = '', redisUrl = '', ...config } = loadConfig({ ...await testEnvironment(t), DATABASE_URL: postgres.url, REDIS_URL: redis.url })
  const [stream, log] = collected()
  const app = await buildServer({ ...config, databaseUrl, redisUrl, jwtSecret }, { logger: { level: 'trace', stream } })
  t.teardown(() => app.close())
  const token = await logIn(app)
  const share = async (key: string, body: unknown = { url }): Promise<number> => {
    const headers = { authorization: token, 'idempotency-key': `${canary}-${key}`, 'content-type': 'application/json' }
    return (await app.inject({ method: 'POST', url: '/api/v1/shares', headers, payload: JSON.stringify(body) })).statusCode
  }
  return { app, redis, postgres, log, token, share }
}

function clean (t: Test, { log, token }: Logged): void {
  const lines = log().split('\n').filter(Boolean)
  const [, , signature = ''] = token.split('.')
  for (const [what, secret] of [['a key or a body', canary], ['a token', token.slice('Bearer '.length)], ['the end of a token', signature], ['a password', credentials.password]] as const) {
    t.same(lines.filter((line) => line.includes(secret)), [], `${what} is in the log`)
  }
  t.same(lines.filter((line) => /[0-9a-f]{64}/.test(line)), [], 'the whole hash of a key is in the log')
  for (const line of lines) t.match((JSON.parse(line) as { key?: string }).key ?? '00000000', /^[0-9a-f]{8}$/)
}

await t.test('the log of requests, good and bad, has no key, token or body', async (t) => {
  const server = await logged(t)
  const { share, app, log, token } = server
  const statuses = [await share('a'), await share('a'), await share('a', { url: `${url}-other` }), await share('ü'), await share('x'.repeat(300)), await share('b', { url: 1, [canary]: canary })]
  t.same(statuses, [201, 201, 422, 400, 400, 400])
  await app.inject({ method: 'POST', url: '/api/v1/shares', headers: { authorization: `${token}x`, 'idempotency-key': canary }, payload: { url } })
  await app.inject({ method: 'POST', url: '/api/v1/shares', headers: { authorization: token, 'idempotency-key': canary, 'content-type': 'application/json' }, payload: `{"url":"${url}` })
  t.match(log(), '"msg":"request completed"')
  clean(t, server)
})

await t.test('the log of a Redis that refuses writes has none either', async (t) => {
  const server = await logged(t)
  const { share, redis, log } = server
  t.equal(await share('before'), 201)
  const admin = new Redis(redis.url)
  t.teardown(() => admin.quit())
  await admin.config('SET', 'maxmemory', '1')
  t.equal(await share('during'), 201)
  t.match(log(), 'OOM command not allowed')
  clean(t, server)
})

await t.test('the log of a Redis that refuses the commands themselves has none either', async (t) => {
  const server = await logged(t)
  const { share, redis, log } = server
  t.equal(await share('before'), 201)
  const admin = new Redis(redis.url)
  t.teardown(() => admin.quit())
  await admin.call('ACL', 'SETUSER', 'default', '-evalsha', '-eval')
  t.equal(await share('during'), 201)
  t.match(log(), 'NOPERM')
  clean(t, server)
})

await t.test('the log of a Redis that takes another password does not tell ours', async (t) => {
  const redis = await ownRedis(t)
  const admin = new Redis(redis.url)
  t.teardown(() => admin.quit())
  await admin.config('SET', 'requirepass', 'another')
  const [stream, log] = collected()
  const { databaseUrl = '', redisUrl = '', ...config } = loadConfig({ ...await testEnvironment(t), REDIS_URL: redis.url.replace('//', `//:${canary}@`) })
  const app = await buildServer({ ...config, databaseUrl, redisUrl, jwtSecret }, { logger: { level: 'trace', stream } })
  t.teardown(() => app.close())
  t.match(log(), 'WRONGPASS')
  t.notMatch(log(), canary)
})

await t.test('the log of outages has none either', async (t) => {
  const server = await logged(t)
  const { share, redis, postgres, log } = server
  t.equal(await share('before'), 201)
  await redis.kill()
  t.equal(await share('without-redis'), 201)
  await postgres.kill()
  t.equal(await share('without-both'), 503)
  await postgres.start()
  await until('Postgres is used again', async () => await share('without-both') === 201)
  await redis.start()
  await until('Redis is used again', () => log().includes('"msg":"Redis is back"'))
  t.equal(await share('after'), 201)
  t.match(log(), '"msg":"no idempotency store can be had"')
  clean(t, server)
})
