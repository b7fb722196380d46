import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { fairNow } from '../../fair-clock.js'
import { until } from '../../helper.js'
import { build, credentials } from '../../server/helper.js'
import { connectTo } from './helper.js'

const requestTime = 300

await t.test('app.close() of the reference server takes 1.5 s more than the request in flight at most, with a WebSocket whose client reads nothing any more', async (t) => {
  const app = await build(t)
  let unread: Socket | undefined
  app.server.on('upgrade', (_request, socket: Socket) => {
    unread = socket.on('error', () => {}) // it is cut off
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
    socket.write(Buffer.alloc(16_777_216))
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const frozen = await connectTo(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  await once(frozen, 'data')
  frozen.pause()
  const body = JSON.stringify(credentials)
  const received = once(app.server, 'request')
  const kept = await connectTo(t, port, `POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`)
  await received
  const start = fairNow()
  const closing = app.close()
  await until('it listens no more', () => !app.server.listening)
  await sleep(requestTime) // the request's own time
  t.ok((unread?.writableLength ?? 0) > 0, 'the WebSocket is frozen')
  const answered = once(kept, 'data')
  kept.write(body.slice(10))
  t.match(String((await answered)[0]), /^HTTP\/1\.1 200 OK\r\n[^]*connection: close\r\n/)
  await closing
  const took = fairNow() - start
  t.ok(took < requestTime + 1_500, `${took} ms`)
})
