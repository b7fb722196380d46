import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { LockRouteOptions } from '../../../plugins/locks/index.js'
import { testPrefix, testRedis, until } from '../../helper.js'
import { build, isFree } from './helper.js'

const lock: LockRouteOptions = { key: () => 'order' }

/** An application whose handlers can lose their lock, and what it has logged as an error. */
async function buildLosing (t: Test): Promise<{ app: FastifyInstance, lose: () => Promise<unknown>, errors: () => unknown[] }> {
  const [redis, prefix, lines] = [testRedis(t), testPrefix(), [] as string[]]
  const app = await build(t, { redis, prefix }, { logger: { level: 'error', stream: { write: (line: string) => { lines.push(line) } } } })
  return { app, lose: () => redis.del(`${prefix}:{locks}:order`), errors: () => lines.map((line) => JSON.parse(line) as unknown) }
}

const successes: Record<string, (reply: FastifyReply) => unknown> = {
  'a value': () => 'done',
  'what send returned': (reply) => reply.send('done'),
  'a reply that was sent': (reply) => { reply.send('done'); return reply },
  'nothing, after it has awaited its answer': async (reply) => { await reply.send('done') },
  'nothing, after it has sent its answer': (reply) => { reply.send('done') }
}
for (const [name, answer] of Object.entries(successes)) {
  await t.test(`a handler that lost its lock and returns ${name} is answered 500`, async (t) => {
    const { app, lose } = await buildLosing(t)
    app.get('/', { config: { lock } }, async (_request, reply) => {
      await lose()
      return answer(reply)
    })
    const response = await app.inject({ url: '/' })
    t.match([response.statusCode, response.json()], [500, { code: 'FST_LOCKS_LOST' }])
  })
}

await t.test('a handler with a callback that lost its lock is answered 500', async (t) => {
  const { app, lose } = await buildLosing(t)
  app.get('/', { config: { lock } }, (_request, reply) => { lose().then(() => reply.send('done'), (error: unknown) => reply.send(error)) })
  const response = await app.inject({ url: '/' })
  t.match([response.statusCode, response.json()], [500, { code: 'FST_LOCKS_LOST' }])
})

await t.test('an error of the handler is answered whatever became of the lock', async (t) => {
  const { app, lose, errors } = await buildLosing(t)
  app.get('/thrown', { config: { lock } }, async () => { await lose(); throw Object.assign(new Error('of the handler'), { statusCode: 418 }) })
  app.get('/sent', { config: { lock } }, async (_request, reply) => { await lose(); return reply.code(418).send({ message: 'of the handler' }) })
  for (const url of ['/thrown', '/sent']) {
    const response = await app.inject({ url })
    t.match([response.statusCode, response.json()], [418, { message: 'of the handler' }])
  }
  t.match(errors().filter((line) => JSON.stringify(line).includes('the lock was lost')).length, 2)
})

await t.test('a handler that fails right after it has sent a success is answered with its error, once', async (t) => {
  const { app, errors } = await buildLosing(t)
  app.get('/', { config: { lock } }, async (_request, reply) => {
    reply.send('done')
    throw new Error('of the handler')
  })
  const response = await app.inject({ url: '/' })
  t.match([response.statusCode, response.json()], [500, { message: 'of the handler' }])
  t.match(errors(), [{ err: { message: 'of the handler' } }])
})

const known: Record<string, (reply: FastifyReply) => unknown> = {
  'returns a stream': () => Readable.from(['done']),
  'sends a stream': (reply) => reply.send(Readable.from(['done'])),
  'goes on after its answer': async (reply) => {
    reply.send('done')
    await until('it is sent', () => reply.sent)
  }
}
for (const [name, answer] of Object.entries(known)) {
  await t.test(`a handler that knows of its loss and ${name} is answered 500`, async (t) => {
    const { app, lose } = await buildLosing(t)
    app.get('/', { config: { lock: { ...lock, ttl: 150 } } }, async (request, reply) => {
      await lose()
      await until('it is told', () => request.lock?.signal.aborted)
      return answer(reply)
    })
    const response = await app.inject({ url: '/' })
    t.match([response.statusCode, response.json()], [500, { code: 'FST_LOCKS_LOST' }])
    await until('it is free', () => isFree(app))
  })
}
