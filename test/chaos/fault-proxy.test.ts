import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { until } from '../helper.js'
import { faultProxy } from './fault-proxy.js'
import type { Direction, FaultProxy } from './fault-proxy.js'

interface Echo {
  proxy: FaultProxy
  open: () => Promise<Client>
  received: () => string
  /** Resolves when an echo has come through another proxy, which has no fault. */
  bystander: () => Promise<void>
}

/** A client of an echo server through a proxy. */
async function echo (t: Test): Promise<Echo> {
  let received = ''
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => { received += chunk.toString() })
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  const url = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`
  const [proxy, other] = [await faultProxy(t, url), await faultProxy(t, url)]
  return { proxy, open: () => openClient(t, proxy.url), received: () => received, bystander: async () => { await roundTrip(await openClient(t, other.url)) } }
}

interface Client { socket: Socket, got: () => string, error: () => string | null }

async function openClient (t: Test, url: string): Promise<Client> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let text = ''
  let code: string | null = null
  socket.on('data', (chunk: Buffer) => { text += chunk.toString() })
  socket.on('error', (error: NodeJS.ErrnoException) => { code = error.code ?? 'unknown' })
  t.teardown(() => { socket.destroy() })
  await until('a connection, or its refusal', () => !socket.connecting)
  return { socket, got: () => text, error: () => code }
}

/** Resolves when the echo of a byte is there. */
async function roundTrip ({ socket, got }: Client): Promise<void> {
  const before = got().length
  socket.write('.')
  await until('an echo', () => got().length > before)
}

/** Resolves when so many bytes more have come to the proxy. */
function reached (proxy: FaultProxy, direction: Direction, count: number): Promise<unknown> {
  let seen = 0
  proxy.resetOn(direction, (chunk) => {
    seen += chunk.length
    return false
  })
  return until('they are at the proxy', () => seen === count)
}

await t.test('bytes pass unchanged and in order, and so does the end', async (t) => {
  const { proxy, open } = await echo(t)
  const client = await open()
  client.socket.write('a')
  client.socket.end('b')
  await once(client.socket, 'close')
  t.equal(client.got(), 'ab')
  await until('the proxy forgets the connection', () => proxy.connections() === 0)
})

await t.test('latency delays every chunk and keeps their order', async (t) => {
  const { proxy, open } = await echo(t)
  const client = await open()
  await roundTrip(client)
  proxy.delay(100, 'up')
  const arrived = reached(proxy, 'up', 1)
  const begin = performance.now()
  client.socket.write('a')
  await arrived
  proxy.delay(1, 'up')
  client.socket.write('b')
  await until('both are back', () => client.got().length === 3)
  t.equal(client.got(), '.ab')
  t.ok(performance.now() - begin >= 95)
})

for (const direction of ['up', 'down', undefined] as const) {
  await t.test(`a black hole (${direction ?? 'both ways'}) holds all bytes until it is healed`, async (t) => {
    const { proxy, open, bystander } = await echo(t)
    const [early, other] = [await open(), await open()]
    await Promise.all([roundTrip(early), roundTrip(other)])
    proxy.blackHole(direction)
    const late = await open()
    const held = reached(proxy, direction ?? 'up', 'earlylate'.length)
    early.socket.write('early')
    late.socket.write('late')
    await held
    await bystander()
    t.equal(early.got() + late.got(), '.')
    proxy.heal()
    await until('both are back', () => early.got() === '.early' && late.got() === 'late')
    await roundTrip(other)
  })
}

await t.test('what a client sent before it gave up arrives after the black hole', async (t) => {
  const { proxy, open, received, bystander } = await echo(t)
  const client = await open()
  await roundTrip(client)
  proxy.blackHole('up')
  const held = reached(proxy, 'up', 'late'.length)
  client.socket.write('late')
  client.socket.destroy()
  await held
  await bystander()
  t.equal(received(), '..')
  proxy.heal()
  await until('the server hears the end', () => proxy.connections() === 0)
  t.equal(received(), '..late')
})

await t.test('a half-open connection stays dead and silent after healing, a new one works', async (t) => {
  const { proxy, open } = await echo(t)
  const client = await open()
  await roundTrip(client)
  proxy.halfOpen()
  client.socket.write('lost')
  proxy.heal()
  const other = await open()
  await roundTrip(other)
  t.equal(client.got(), '.')
  t.equal(client.error(), null)
  t.equal(client.socket.closed, false)
})

await t.test('refused connections are reset, and the ones of before live on', async (t) => {
  const { proxy, open } = await echo(t)
  const client = await open()
  proxy.refuse()
  const refused = await open()
  await until('the new one is reset', () => refused.error() === 'ECONNRESET')
  await roundTrip(client)
  proxy.heal()
  await roundTrip(await open())
})

await t.test('a reset of all ends every connection of now', async (t) => {
  const { proxy, open } = await echo(t)
  const clients = [await open(), await open()]
  for (const client of clients) await roundTrip(client)
  proxy.resetAll()
  await until('both are reset', () => clients.every((client) => client.error() === 'ECONNRESET'))
  await roundTrip(await open())
})

await t.test('a chunk that matches is lost with its connection, once', async (t) => {
  const { proxy, open } = await echo(t)
  const [client, other] = [await open(), await open()]
  await Promise.all([roundTrip(client), roundTrip(other)])
  proxy.resetOn('down', (chunk) => chunk.includes('COMMIT'))
  client.socket.write('COMMIT')
  await until('it is reset', () => client.error() === 'ECONNRESET')
  t.equal(client.got(), '.')
  other.socket.write('COMMIT')
  await until('it comes back', () => other.got() === '.COMMIT')
})
