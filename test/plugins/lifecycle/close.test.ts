import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import Fastify from 'fastify'
import t from 'tap'
import lifecycle from '../../../plugins/lifecycle/index.js'
import { fairNow } from '../../fair-clock.js'
import { gate, until } from '../../helper.js'
import { build, connectTo, listen } from './helper.js'

await t.test('app.close() runs preClose, answers, drains in reverse order and closes the plugins', async (t) => {
  const app = await build(t)
  const events: string[] = []
  const [begun, finish] = [gate(), gate()]
  app.addHook('preClose', async () => {
    events.push(`preClose ${app.lifecycle.stopping.aborted}`)
    finish.open()
  })
  app.addHook('onClose', async () => { events.push('onClose') })
  await app.register(async (child) => { child.addHook('onClose', async () => { events.push('onClose of a child') }) })
  for (const name of ['first', 'second']) app.lifecycle.onDrain(name, () => { events.push(name) })
  app.get('/', async () => {
    begun.open()
    await finish.opened
    events.push('answer')
    return 'ok'
  })
  const response = fetch(`http://127.0.0.1:${await listen(app)}`)
  await begun.opened
  t.notOk(app.lifecycle.stopping.aborted)
  await app.close()
  t.equal((await response).status, 200)
  t.strictSame(events, ['preClose true', 'answer', 'second', 'first', 'onClose of a child', 'onClose'])
})

await t.test('without signals the deadline holds for the requests and the hooks, and the process goes on', async (t) => {
  const app = await build(t, { deadline: 600, abortGrace: 200 })
  const begun = gate()
  let closed = false
  app.get('/', async () => {
    begun.open()
    await new Promise(() => {})
  })
  let aborted = false
  app.lifecycle.onDrain('hang', async (signal) => {
    aborted = signal.aborted
    await new Promise(() => {})
  })
  app.addHook('onClose', async () => { closed = true })
  const response = fetch(`http://127.0.0.1:${await listen(app)}`).then(() => 'answered', () => 'cut off')
  await begun.opened
  const start = performance.now()
  await app.close()
  const took = performance.now() - start
  t.equal(await response, 'cut off')
  t.ok(aborted, 'the hook began after the cut')
  t.ok(closed)
  t.ok(took >= 550 && took < 3_000, `${took} ms`)
})

await t.test('a request of a server that Fastify does not wait for, such as that of the second address of localhost, is waited for too', async (t) => {
  const app = await build(t)
  const [begun, finish] = [gate(), gate()]
  const events: string[] = []
  app.get('/', async () => {
    begun.open()
    await finish.opened
    events.push('answer')
    return 'ok'
  })
  app.addHook('onClose', async () => { events.push('onClose') })
  await listen(app)
  const second = createServer((request, response) => { app.routing(request, response) }).listen(0, '127.0.0.1')
  t.teardown(() => { second.close() })
  await once(second, 'listening')
  const response = fetch(`http://127.0.0.1:${(second.address() as AddressInfo).port}`)
  await begun.opened
  const closed = once(app.server, 'close')
  const closing = app.close()
  await closed
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate) // in which the rest of the stop would go on
  finish.open()
  await closing
  t.equal((await response).status, 200)
  t.strictSame(events, ['answer', 'onClose'])
})

await t.test('a connection whose answer had begun before the stop is closed when it becomes idle', async (t) => {
  const app = await build(t)
  const body = new PassThrough()
  app.get('/', async () => body)
  const socket = await connectTo(t, await listen(app), 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  body.write('begun')
  t.notMatch(String((await once(socket, 'data'))[0]), /connection: close/i)
  const start = fairNow()
  const closing = app.close()
  await until('it listens no more', () => !app.server.listening)
  body.end()
  await closing
  const took = fairNow() - start
  t.ok(took < 1_500, `${took} ms, of the 72 s that it may be kept alive`)
})

await t.test('upgraded connections have their grace', async (t) => {
  const app = await build(t, { upgradeGrace: 300 })
  app.server.on('upgrade', (_request, socket) => { socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: raw\r\nConnection: Upgrade\r\n\r\n') })
  const socket = await connectTo(t, await listen(app), 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n')
  await once(socket, 'data')
  const start = performance.now()
  await app.close()
  const took = performance.now() - start
  t.ok(took >= 280 && took < 1_500, `${took} ms`)
})

await t.test('where nobody handles upgrades such a request is answered as before', async (t) => {
  const app = await build(t)
  app.get('/', async () => 'plain')
  const socket = await connectTo(t, await listen(app), 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n')
  t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200 OK[^]*plain$/)
})

await t.test('a request whose client went before it was seen is not waited for', async (t) => {
  const app = Fastify({ return503OnClosing: false })
  const [entered, goOn] = [gate(), gate()]
  app.addHook('onRequest', async (_request, reply) => {
    const closed = once(reply.raw, 'close')
    entered.open()
    await closed
    await goOn.opened
  })
  await app.register(lifecycle, { deadline: 60_000 })
  const handled = gate()
  app.get('/', async () => { handled.open() })
  const socket = await connectTo(t, await listen(app), 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await entered.opened
  socket.destroy()
  goOn.open()
  await handled.opened
  const start = performance.now()
  await app.close()
  t.ok(performance.now() - start < 30_000, 'far below the deadline')
})
