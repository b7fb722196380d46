import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import concurrency from '../../plugins/concurrency/index.js'
import idempotency from '../../plugins/idempotency/index.js'
import locks from '../../plugins/locks/index.js'
import { testPrefix, testRedis } from '../helper.js'

const config = { lock: { key: () => 'order' }, limiter: 'api', idempotency: true }

const plugins: Record<string, (app: FastifyInstance, t: Parameters<typeof testRedis>[0]) => unknown> = {
  FST_LOCKS_NOT_WIRED: (app, t) => app.register(locks, { redis: testRedis(t), prefix: testPrefix() }),
  FST_CONCURRENCY_NOT_WIRED: (app) => app.register(concurrency, { limiters: { api: { points: 10, duration: 60_000 } } }),
  FST_IDEMPOTENCY_NOT_WIRED: (app) => app.register(idempotency, { store: 'memory', scope: 'public' })
}
for (const [code, register] of Object.entries(plugins)) {
  await t.test(`a route that was declared too early is told from its like with another constraint (${code})`, async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    register(app, t)
    app.post('/', { config, constraints: { host: 'early' } }, async () => 'unprotected')
    await app.after()
    app.post('/', { config, constraints: { host: 'late' } }, async () => 'protected')
    const post = (host: string) => app.inject({ method: 'POST', url: '/', headers: { host } })
    t.match((await post('early')).json(), { code })
    t.equal((await post('late')).body, 'protected')
  })

  await t.test(`every route that was declared in time is known: with several methods, HEAD, a prefix and its slash, a shared configuration (${code})`, async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await register(app, t)
    app.route({ method: ['GET', 'POST'], url: '/', config, handler: async () => 'done' })
    await app.register(async (scope) => {
      scope.get('/', { config }, async () => 'done')
      scope.setNotFoundHandler({ preHandler: async () => {} }, (_request, reply) => { reply.send('none') })
    }, { prefix: '/scope' })
    for (const [method, url] of [['GET', '/'], ['POST', '/'], ['HEAD', '/'], ['GET', '/scope'], ['GET', '/scope/'], ['HEAD', '/scope']] as const) t.equal((await app.inject({ method, url })).statusCode, 200, `${method} ${url}`)
    t.equal((await app.inject('/scope/none')).body, 'none')
    t.strictSame(Object.keys(config), ['lock', 'limiter', 'idempotency'], 'the configuration of the application stays as it is')
    t.strictSame(Object.getOwnPropertySymbols(config), [])
  })
}
