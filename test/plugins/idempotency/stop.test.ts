import { once } from 'node:events'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import idempotency, { createMemoryStore } from '../../../plugins/idempotency/index.js'
import type { IdempotencyStore } from '../../../plugins/idempotency/index.js'
import lifecycle from '../../../plugins/lifecycle/index.js'
import { gate, post, principal } from './helper.js'
import type { Gate } from './helper.js'
import { send } from './streaming.js'

interface Running {
  app: FastifyInstance
  /** Lets the handler end. */
  handled: Gate
  store: IdempotencyStore
  logged: string[]
}

function logging (): { app: FastifyInstance, logged: string[] } {
  const logged: string[] = []
  return { app: Fastify({ logger: { level: 'warn', stream: { write (line: string) { logged.push((JSON.parse(line) as { msg: string }).msg) } } } }), logged }
}

/** An application in which a handler runs whose client has gone. */
async function deserted (t: Test, options: { closeTimeout?: number } = {}, deadline: number | null = null): Promise<Running> {
  const { app, logged } = logging()
  if (deadline !== null) await app.register(lifecycle, { deadline })
  const [store, entered, handled] = [createMemoryStore(), gate(), gate()]
  t.teardown(() => { handled.open() })
  await app.register(idempotency, { store, principal, ...options })
  let close: Promise<unknown> = Promise.resolve()
  app.post('/', async (request, reply) => {
    close = once(reply.raw, 'close')
    entered.open()
    await handled.opened
    return 'done'
  })
  const client = await send(t, app)
  await entered.opened
  client.socket.destroy()
  await close
  return { app, handled, store, logged }
}

/** Whether another process would replay the answer. */
async function isReplayed (t: Test, store: IdempotencyStore): Promise<boolean> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(idempotency, { store, principal })
  app.post('/', () => 'again')
  const { body, headers } = await post(app, '/')
  return body === 'done' && headers['idempotency-status'] === 'replayed'
}

/** Whether a close ends by itself within so many turns of the event loop: that one waits shows in nothing else. */
async function isOver (closing: Promise<unknown>): Promise<boolean> {
  let isEnded = false
  closing.then(() => { isEnded = true }, () => {})
  for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate)
  return isEnded
}

for (const [what, deadline] of [['', null], [' under the lifecycle', 60_000]] as const) {
  await t.test(`a stop${what} waits for a handler whose client has gone, and its retry gets its answer`, async (t) => {
    const { app, handled, store } = await deserted(t, {}, deadline)
    const closing = app.close()
    t.equal(await isOver(closing), false, 'it waits')
    handled.open()
    await closing
    t.equal(await isReplayed(t, store), true)
  })
}

await t.test('no longer than closeTimeout, which is logged', async (t) => {
  const { app, logged } = await deserted(t, { closeTimeout: 50 })
  await app.close()
  t.strictSame(logged, ['protected requests were still running when the server stopped'])
})

await t.test('under the lifecycle no longer than its deadline', async (t) => {
  const { app, logged } = await deserted(t, {}, 200)
  await app.close()
  t.strictSame(logged, ['drain failed'])
})

await t.test('a stop with nothing in flight does not wait', async (t) => {
  const app = Fastify()
  await app.register(idempotency, { store: 'memory', principal })
  app.post('/', () => 'done')
  t.equal((await post(app, '/')).body, 'done')
  await app.close()
})

await t.test('nor for a handler whose end was hidden by its 503 of handlerTimeout, once it has ended', async (t) => {
  const { app, logged } = logging()
  await app.register(idempotency, { store: 'memory', principal, closeTimeout: 10_000 })
  const handled = gate()
  app.post('/', { handlerTimeout: 50 }, async () => {
    await handled.opened
    return 'late'
  })
  t.equal((await post(app, '/')).statusCode, 503)
  const closing = app.close()
  t.equal(await isOver(closing), false, 'it waits while it runs')
  handled.open()
  await closing
  t.notOk(logged.includes('protected requests were still running when the server stopped'))
})
