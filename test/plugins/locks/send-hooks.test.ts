import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { LockRouteOptions } from '../../../plugins/locks/index.js'
import { testPrefix, testRedis, until } from '../../helper.js'
import { build, gate, isFree } from './helper.js'

const lock: LockRouteOptions = { key: () => 'order' }

/** Puts an onSend hook of the application before or after that of the locks. */
function addOnSend (app: FastifyInstance, place: 'before' | 'after', hook: () => Promise<void>): void {
  if (place === 'before') app.addHook('onSend', hook)
  else app.addHook('onRoute', (route) => { route.onSend = [...[route.onSend ?? []].flat(), hook] })
}

/** An application whose answers fail on their way. */
async function buildFailing (t: Test, place: 'before' | 'after') {
  const [redis, prefix] = [testRedis(t), testPrefix()]
  const app = await build(t, { redis, prefix })
  addOnSend(app, place, async () => { throw new Error('of the hook') })
  return { app, lose: () => redis.del(`${prefix}:{locks}:order`) }
}

type Handler = (request: FastifyRequest, reply: FastifyReply, lose: () => Promise<unknown>) => unknown
const handlers: Record<string, Handler> = {
  'a value': async () => 'done',
  'what a handler with a callback sends': (_request, reply) => { setImmediate(() => { reply.send('done') }) },
  'what an async handler sends': async (_request, reply) => reply.send('done'),
  'what an async handler awaits': async (_request, reply) => { await reply.send('done') },
  'an error': async () => { throw new Error('of the handler') },
  'a stream that is returned': async () => Readable.from(['done']),
  'a stream that is sent': (_request, reply) => reply.send(Readable.from(['done'])),
  'a lost lock': async (_request, _reply, lose) => { await lose(); return 'done' },
  'a lost lock of a handler that sends': async (_request, reply, lose) => { await lose(); return reply.send('done') }
}
for (const place of ['before', 'after'] as const) {
  for (const [name, handler] of Object.entries(handlers)) {
    await t.test(`${name} is answered, and its lock given back, when a hook ${place} the release fails`, async (t) => {
      const { app, lose } = await buildFailing(t, place)
      app.get('/', { config: { lock } }, ((request: FastifyRequest, reply: FastifyReply) => handler(request, reply, lose)) as never)
      t.equal((await app.inject({ url: '/' })).statusCode, 500)
      await until('it is free', () => isFree(app))
    })
  }

  await t.test(`a busy lock is answered when a hook ${place} the release fails`, async (t) => {
    const { app } = await buildFailing(t, place)
    app.get('/', { config: { lock } }, async () => 'done')
    const grant = await app.locks.acquire('order')
    t.equal((await app.inject({ url: '/' })).statusCode, 409)
    await grant.release()
  })

  for (const [style, own] of [['async', false], ['async', true], ['callback', false], ['callback', true]] as const) {
    await t.test(`the timeout of a handler (${style}) is answered, and its lock kept until it ends, when a hook ${place} the release fails (error handler ${own ? 'of the application' : 'of Fastify'})`, async (t) => {
      const { app } = await buildFailing(t, place)
      if (own) app.setErrorHandler((_error, _request, reply) => { reply.code(503).send('own') })
      const { pass, open, state } = gate()
      app.get('/', { config: { lock }, handlerTimeout: 20 }, ((_request: FastifyRequest, reply: FastifyReply) => {
        const work = pass().then(() => 'late')
        if (style === 'async') return work
        work.then((late) => reply.send(late), (error: unknown) => reply.send(error))
      }) as never)
      await until('it has begun before its timeout', async () => {
        t.ok([500, 503].includes((await app.inject({ url: '/' })).statusCode))
        return state.inside === 1
      })
      t.equal(await isFree(app), false)
      open()
      await until('it is free', () => isFree(app))
    })
  }
}

for (const place of ['before', 'after'] as const) {
  await t.test(`a handler that awaits its own answer has sent it once, with a slow hook ${place} the release`, async (t) => {
    const app = await build(t)
    let passed = 0
    addOnSend(app, place, async () => { passed++; await sleep(20) }) // its slowness is the subject
    app.get('/', { config: { lock } }, async (_request, reply) => { await reply.code(201).send('done') })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const client = httpRequest({ port: (app.server.address() as AddressInfo).port, host: '127.0.0.1' }).end()
    const [response] = await once(client, 'response') as [Readable & { statusCode: number }]
    t.strictSame([response.statusCode, (await response.toArray()).join('')], [201, 'done'])
    await until('it is free', () => isFree(app))
    t.equal(passed, 1)
  })
}
