import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'
import t from 'tap'
import type { Test } from 'tap'
import health from '../../../plugins/health/index.js'
import lifecycle from '../../../plugins/lifecycle/index.js'
import type { LifecycleOptions } from '../../../plugins/lifecycle/index.js'
import metrics from '../../../plugins/metrics/index.js'
import { gate, until } from '../../helper.js'
import { connectTo } from './helper.js'

async function build (t: Test, options: LifecycleOptions = {}): Promise<FastifyInstance> {
  const app = Fastify({ return503OnClosing: false, keepAliveTimeout: 72_000 })
  t.teardown(() => app.close())
  await app.register(lifecycle, options)
  return app
}

async function listen (app: FastifyInstance): Promise<number> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  return (app.server.address() as AddressInfo).port
}

async function value (registry: Registry, series: string): Promise<number | null> {
  const line = (await registry.metrics()).split('\n').find((line) => line.startsWith(`${series} `))
  return line === undefined ? null : Number(line.split(' ')[1])
}

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
  const start = performance.now()
  const closing = app.close()
  await until('it listens no more', () => !app.server.listening)
  body.end()
  await closing
  const took = performance.now() - start
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

await t.test('a required phase that fails fails the start, awaited or not', async (t) => {
  const app = await build(t)
  const ran: string[] = []
  const phases = [
    app.lifecycle.phase('database', () => { throw new Error('no database') }),
    app.lifecycle.phase('migrations', () => { ran.push('migrations') }, { after: ['database'] }),
    app.lifecycle.phase('redis', () => { ran.push('redis') })
  ]
  await t.rejects(async () => await app.ready(), { message: 'no database' })
  t.equal(phases.length, 3)
  t.strictSame(ran, ['redis'])
})

await t.test('a phase that waits for one that nobody declares fails the start', async (t) => {
  const app = await build(t)
  const phase = app.lifecycle.phase('locks', () => {}, { after: ['databse'] })
  await t.rejects(async () => await app.ready(), { code: 'FST_LIFECYCLE_USAGE', message: 'the phase `locks` waits for `databse`, which nobody has declared: there are locks' })
  await app.close()
  await t.rejects(phase, { code: 'FST_LIFECYCLE_STOPPING' })
})

await t.test('metrics show the phases and the length of the stop, wherever the registry comes from', async (t) => {
  const app = await build(t)
  await app.register(metrics)
  const { metrics: registry } = app
  const back = gate()
  let gone = true
  await app.lifecycle.phase('config', () => {})
  await app.lifecycle.phase('redis', () => { throw new Error('no Redis') }, { optional: true, retry: false })
  await app.lifecycle.phase('database', () => {}, { probe: async () => { if (gone) throw new Error('gone') } })
  await app.ready()
  const late = app.lifecycle.phase('late', () => back.opened)
  const later = app.lifecycle.phase('later', () => {}, { after: ['late'] })
  await until('the first one of the two runs', async () => (await app.lifecycle.report()).some(({ name, state }) => name === 'late' && state === 'running'))
  const shown = async () => Object.fromEntries(await Promise.all(['later', 'late', 'config', 'redis', 'database'].map(async (name) => [name, await value(registry, `lifecycle_phase{phase="${name}"}`)])))
  t.strictSame(await shown(), { later: 0, late: 1, config: 2, redis: 3, database: 4 })
  t.equal(await value(registry, 'shutdown_duration_seconds'), 0)
  gone = false
  back.open()
  await Promise.all([late, later])
  t.strictSame(await shown(), { later: 2, late: 2, config: 2, redis: 3, database: 2 })
  let during: number | null = null
  app.lifecycle.onDrain('look', () => until('time has passed', async () => {
    during = await value(registry, 'shutdown_duration_seconds')
    return during !== null && during >= 0.02
  }))
  await app.close()
  const after = await value(registry, 'shutdown_duration_seconds')
  t.ok(during !== null && after !== null && after >= during && after < 5, `${during} s, ${after} s`)
  t.equal(await value(registry, 'lifecycle_phase{phase="config"}'), null)
})

await t.test('health lists no phases where there is no lifecycle', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(health)
  t.strictSame((await app.inject('/health/ready')).json(), { status: 'ready', phases: [], breakers: {} })
})

await t.test('one application of a process has the signals, until it is closed', async (t) => {
  const before = process.listenerCount('SIGTERM')
  const first = await build(t, { signals: true })
  t.equal(process.listenerCount('SIGTERM'), before + 1)
  await t.rejects(build(t, { signals: true }), { code: 'FST_LIFECYCLE_SIGNALS_TAKEN' })
  await first.close()
  t.equal(process.listenerCount('SIGTERM'), before)
  t.equal(process.listenerCount('uncaughtException'), 0)
  await (await build(t, { signals: true })).close()
})

await t.test('wrong options fail the boot', async (t) => {
  const message = async (options: object): Promise<string> => await build(t, options).then(() => 'accepted', (error: Error) => error.message)
  t.equal(await message({ deadline: '25000' }), 'option `deadline` must be an integer from 100 to 2147483647 (ms), got \'25000\' (string)')
  t.equal(await message({ signals: 'yes' }), "option `signals` must be true or false, got 'yes' (string)")
  t.equal(await message({ preStopDelay: -1 }), 'option `preStopDelay` must be an integer from 0 to 2147483647 (ms), got `-1` (number)')
  t.equal(await message({ deadline: 1_000, preStopDelay: 500, abortGrace: 500 }), 'option `deadline` must be longer than `preStopDelay` and `abortGrace` together (1000 ms), got `1000` (number)')
})
