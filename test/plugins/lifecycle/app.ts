/**
 * An application as a process, driven by its parent. Environment, in JSON: OPTIONS of the plugin, DRAINS (what each onDrain hook does), PHASES (what
 * each phase does, by its name), LATE (whether they are declared in an onReady hook), CLOSE_HANGS (whether a plugin's onClose hook never ends). The parent gets { port }, { begun: '/hold' } and { event }, and sends { open: '/hold' }, { throw: true } or { close: true }.
 */
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import health from '../../../plugins/health/index.js'
import lifecycle from '../../../plugins/lifecycle/index.js'
import { gate } from '../../helper.js'

const read = (name: string, absent: string) => JSON.parse(process.env[name] ?? absent) as unknown
const tell = (message: object): void => { process.send?.(message) }
const never = new Promise<never>(() => {})
const gates = { '/hold': gate(), phase: gate() }
let phaseFails = true
process.on('message', ({ open, heal, throw: thrown, close }: { open?: keyof typeof gates, heal?: boolean, throw?: boolean, close?: boolean }) => {
  if (open !== undefined) gates[open].open()
  if (heal === true) phaseFails = false
  if (close === true) app.close().catch(() => {})
  if (thrown === true) setImmediate(() => { throw new Error('nobody catches this') })
})

const app = Fastify({ logger: true, keepAliveTimeout: 72_000, return503OnClosing: false })
app.addHook('onClose', async () => { tell({ event: 'closed' }) })
await app.register(lifecycle, { signals: true, ...read('OPTIONS', '{}') as object })
await app.register(health)
if (read('CLOSE_HANGS', 'false') === true) app.addHook('onClose', async () => await never)

const aborted = (signal: AbortSignal): Promise<void> => new Promise((resolve) => { signal.addEventListener('abort', () => resolve()) })
const drains: Record<string, (signal: AbortSignal) => Promise<void>> = {
  hang: async () => await never,
  fail: async () => { throw new Error('it does not drain') },
  obey: aborted,
  end: async () => {}
}
for (const kind of read('DRAINS', '[]') as string[]) {
  app.lifecycle.onDrain(kind, async (signal) => {
    tell({ event: `drain ${kind}` })
    await drains[kind]?.(signal)
  })
}

const steps: Record<string, () => Promise<void>> = {
  hang: async () => {
    tell({ event: 'phase hang' })
    await never
  },
  heal: async () => { if (phaseFails) throw new Error('not yet') }
}
for (const [name, optional] of Object.entries(read('PHASES', '{}') as Record<string, boolean>)) {
  const declare = () => app.lifecycle.phase(name, steps[name] ?? (async () => {}), optional ? { optional, retry: { minDelay: 10, maxDelay: 50 } } : {})
  if (read('LATE', 'false') === true) app.addHook('onReady', declare)
  else declare().catch(() => {}) // the start hears it
}

app.get('/quick', async () => 'quick')
app.get('/hold', async () => {
  tell({ begun: '/hold' })
  await gates['/hold'].opened
  return 'held'
})
// A WebSocket whose other side never closes it.
app.server.on('upgrade', (_request, socket) => { socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: raw\r\nConnection: Upgrade\r\n\r\n') })
try {
  await app.listen({ port: 0, host: '127.0.0.1' })
  tell({ port: (app.server.address() as AddressInfo).port })
} catch (error) {
  await app.close()
  tell({ event: `cannot start: ${(error as Error).message}` })
  process.exitCode = 1
  process.disconnect()
}
