import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import t from 'tap'
import type { Grant, LockRouteOptions } from '../../../plugins/locks/index.js'
import { until } from '../../helper.js'
import { build, gate, isFree, slowToRelease } from './helper.js'

const lock: LockRouteOptions = { key: () => 'order' }

/** A request whose client leaves while the handler runs. */
async function leave (app: FastifyInstance, isInside: () => boolean): Promise<void> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  const closed = new Promise((resolve) => { app.server.once('connection', (socket) => socket.once('close', resolve)) })
  const client = httpRequest({ port: (app.server.address() as AddressInfo).port, host: '127.0.0.1' }).on('error', () => {}).end()
  await until('it runs', isInside)
  client.destroy()
  await closed
}

const answers: Record<string, (reply: FastifyReply) => unknown> = {
  'a returned stream': () => Readable.from(['done']),
  'a sent stream': (reply) => reply.send(Readable.from(['done'])),
  'a web Response': () => new Response('done'),
  'a sent text': (reply) => reply.send('done'),
  'a hijacked reply': (reply) => { reply.hijack(); reply.raw.end('done'); return reply }
}

for (const [name, answer] of Object.entries(answers)) {
  await t.test(`${name} gives the lock back although its client has left before`, async (t) => {
    const app = await build(t)
    const { pass, open, state } = gate()
    app.get('/', { config: { lock } }, async (_request, reply) => {
      await pass()
      return answer(reply)
    })
    await leave(app, () => state.inside === 1)
    t.equal(await isFree(app), false)
    open()
    await until('it is free', () => isFree(app))
  })
}

await t.test('a handler that goes on after it has awaited its own answer keeps the lock', async (t) => {
  const app = await build(t)
  const { pass, open, state } = gate()
  app.get('/', { config: { lock } }, async (_request, reply) => {
    await reply.send('done')
    await pass()
  })
  t.equal((await app.inject({ url: '/' })).body, 'done')
  await until('it goes on', () => state.inside === 1)
  t.equal(await isFree(app), false)
  open()
  await until('it is free', () => isFree(app))
})

await t.test('a handler that awaits its own answer, and returns nothing, has answered', async (t) => {
  const { postgres } = await slowToRelease(t) // the answer is still on its way when the handler has ended
  const lines: string[] = []
  const app = await build(t, { redis: undefined, postgres }, { logger: { level: 'error', stream: { write: (line: string) => { lines.push(line) } } } })
  app.get('/', { config: { lock } }, async (_request, reply) => { await reply.send('done') })
  t.equal((await app.inject({ url: '/' })).body, 'done')
  t.strictSame(lines, [])
})

for (const [name, leaves] of [['that Fastify has answered for', false], ['whose client has left', true]] as const) {
  await t.test(`a handler with a callback ${name} and that never answers keeps its lock for its ttl`, async (t) => {
    const lines: string[] = []
    const app = await build(t, {}, { logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
    let grant: Grant | null = null
    app.get('/', { config: { lock: { ...lock, ttl: 500 } }, ...(leaves ? {} : { handlerTimeout: 20 }) }, (request) => { grant = request.lock })
    if (leaves) await leave(app, () => grant !== null)
    else {
      await until('it has begun before its timeout', async () => {
        t.equal((await app.inject({ url: '/' })).statusCode, 503)
        return grant !== null
      })
    }
    t.equal(await isFree(app), false)
    await until('it is free', () => isFree(app))
    t.equal(lines.filter((line) => line.includes('its lock is given back')).length, 1)
    t.throws(() => { (grant as Grant | null)?.assertHeld() }, { code: 'FST_LOCKS_LOST' })
  })
}
