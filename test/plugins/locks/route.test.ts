import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import locks from '../../../plugins/locks/index.js'
import type { LockRouteOptions } from '../../../plugins/locks/index.js'
import { testPrefix, testRedis, until } from '../../helper.js'
import { build, gate, isFree, slowToRelease, untilWaiting } from './helper.js'

const key = (): string => 'order'
const lock: LockRouteOptions = { key }

await t.test('two overlapping requests of one key never run together, and of two keys they do', async (t) => {
  const app = await build(t)
  const { pass, open, state } = gate()
  app.post<{ Params: { id: string } }>('/:id', { config: { lock: { key: ({ params }: FastifyRequest) => (params as { id: string }).id } satisfies LockRouteOptions } }, async () => {
    await pass()
    return 'done'
  })
  const first = app.inject({ method: 'POST', url: '/a' })
  await until('it runs', () => state.inside === 1)
  const second = await app.inject({ method: 'POST', url: '/a' })
  t.equal(second.statusCode, 409)
  t.equal(second.json<{ code: string }>().code, 'FST_LOCKS_BUSY')
  t.equal(second.headers['retry-after'], '1')
  const other = app.inject({ method: 'POST', url: '/b' })
  await until('the other one runs', () => state.inside === 2)
  open()
  t.same([(await first).statusCode, (await other).statusCode], [200, 200])
  t.equal((await app.inject({ method: 'POST', url: '/a' })).statusCode, 200)
})

for (const onBusy of [423, 503] as const) {
  await t.test(`a busy lock is answered ${onBusy} where the route says so`, async (t) => {
    const app = await build(t)
    app.post('/', { config: { lock: { key, onBusy } } }, async () => 'done')
    const grant = await app.locks.acquire('order')
    t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, onBusy)
    await grant.release()
  })
}

await t.test('a request waits for as long as the route says', async (t) => {
  const app = await build(t)
  const { pass, open, state } = gate()
  app.post('/', { config: { lock: { key, wait: 5_000 } } }, async () => {
    await pass()
    return 'done'
  })
  const all = Promise.all(Array.from({ length: 5 }, async () => (await app.inject({ method: 'POST', url: '/' })).statusCode))
  await until('one runs', () => state.inside === 1)
  open()
  t.same(await all, [200, 200, 200, 200, 200])
  t.equal(state.most, 1)
})

const handlers: Record<string, (request: FastifyRequest, reply: FastifyReply) => unknown> = {
  'an async handler': async () => 'done',
  'an async handler that returns the reply': async (_request, reply) => {
    await new Promise(setImmediate) // not in the turn that called it
    reply.send('done')
    return reply
  },
  'an async handler that returns what send returned': async (_request, reply) => reply.send('done'),
  'a handler with a callback': (_request, reply) => { setImmediate(() => { reply.send('done') }) },
  'a handler that sends at once': (_request, reply) => reply.send('done'),
  'an async handler that fails': async () => { throw new Error('of the handler') },
  'a handler that throws': () => { throw new Error('of the handler') },
  'a handler that sends an error': (_request, reply) => { reply.send(new Error('of the handler')) }
}
for (const [name, handler] of Object.entries(handlers)) {
  await t.test(`${name} gives the lock back before its answer leaves`, async (t) => {
    const { postgres, held } = await slowToRelease(t)
    const app = await build(t, { redis: undefined, postgres })
    app.post('/', { config: { lock } }, handler as never)
    const { body } = await app.inject({ method: 'POST', url: '/' })
    t.match(body, /done|of the handler/)
    t.equal(await held(), 0)
  })
}

await t.test('a stream is sent under the lock', async (t) => {
  const app = await build(t)
  let end: (() => void) | null = null
  app.get('/', { config: { lock } }, async () => {
    const stream = new Readable({ read () {} })
    stream.push('a')
    end = () => { stream.push(null) }
    return stream
  })
  const answer = app.inject({ url: '/' })
  const finish = await until('it streams', () => end)
  await sleep(50) // for it to be given back, wrongly
  t.equal(await isFree(app), false)
  finish()
  t.equal((await answer).body, 'a')
  await until('it is free', () => isFree(app))
})

const goingOn: Record<string, (reply: FastifyReply, pass: () => Promise<void>) => unknown> = {
  'an async handler that Fastify has answered for': async (_reply, pass) => { await pass() },
  'a handler with a callback that Fastify has answered for': (reply, pass) => { pass().then(() => { reply.send('late') }, () => {}) },
  'an async handler that has answered': async (reply, pass) => {
    reply.send('early')
    await pass()
  }
}
for (const [name, handler] of Object.entries(goingOn)) {
  await t.test(`${name} keeps its lock while it works`, async (t) => {
    const app = await build(t)
    const { pass, open, state } = gate()
    app.post('/', { config: { lock }, handlerTimeout: 250 }, (_request, reply) => handler(reply, pass) as never)
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as AddressInfo
    const { status } = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST' })
    t.equal(status, name.includes('Fastify') ? 503 : 200)
    await sleep(50) // for it to be given back, wrongly
    t.equal(state.inside, 1)
    t.equal(await isFree(app), false)
    open()
    await until('it is free', () => isFree(app))
  })
}

await t.test('a client that disconnects ends neither the handler nor its lock, and waits no longer', async (t) => {
  const metrics = new Registry()
  const app = await build(t, { metrics })
  const { pass, open, state } = gate()
  app.post('/', { config: { lock: { key, wait: 10_000 } } }, async () => {
    await pass()
    return 'done'
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const send = () => httpRequest({ port, method: 'POST', host: '127.0.0.1' }).on('error', () => {}).end()
  const holder = send()
  await until('it runs', () => state.inside === 1)
  const waiter = send()
  await untilWaiting(metrics, 1)
  waiter.destroy()
  holder.destroy()
  await new Promise((resolve) => { holder.once('close', resolve) })
  await untilWaiting(metrics, 0)
  t.equal(await isFree(app), false)
  open()
  await until('it is free', () => isFree(app))
  t.equal(state.runs, 1)
})

await t.test('the handler has the grant, and is answered 500 when it was lost', async (t) => {
  const redis = testRedis(t)
  const prefix = testPrefix()
  const app = await build(t, { redis, prefix })
  app.get('/', { config: { lock } }, async ({ lock }) => lock?.names)
  await app.register(async (both) => { both.get('/', { config: { lock } }, async ({ lock }) => lock?.names) }, { prefix: '/both' })
  app.get('/free', async ({ lock }) => ({ lock }))
  app.get('/lost', { config: { lock } }, async () => { await redis.del(`${prefix}:{locks}:order`); return 'done' })
  t.same((await app.inject({ url: '/' })).json(), ['order'])
  t.same((await app.inject({ url: '/free' })).json(), { lock: null })
  t.equal((await app.inject({ method: 'HEAD', url: '/' })).statusCode, 200)
  for (const url of ['/both', '/both/']) t.same((await app.inject({ url })).json(), ['order'])
  t.match(await app.inject({ url: '/lost' }).then((response) => response.json<object>()), { statusCode: 500, code: 'FST_LOCKS_LOST' })
})

await t.test('a route that was declared too early fails loudly', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(locks, { redis: testRedis(t), prefix: testPrefix() })
  app.get('/', { config: { lock } }, async () => 'unlocked')
  t.match((await app.inject({ url: '/' })).json<object>(), { code: 'FST_LOCKS_NOT_WIRED' })
})
