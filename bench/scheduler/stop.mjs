import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { median, verdict, whole } from '../report.mjs'

const times = 5
/** The time of the request that is in flight, ms: its body takes so long to come. */
const requestTime = 300
const atMost = 1_500
const body = JSON.stringify({ email: 'nobody@example.com', password: 'not the password' })

/** `app.close()` of the reference server with one request in flight on a connection that is kept alive, and one WebSocket whose client reads nothing any more. */
export async function measureStop (session) {
  const { url } = await session.database()
  const rests = []
  for (let time = 0; time < times; time++) rests.push(await closeOnce(session, url) - requestTime)
  return [[`\`app.close()\` with a request in flight and a frozen WebSocket, beyond the ${requestTime} ms of the request`, `≤ ${whole(atMost)} ms`, `${whole(median(rests))} ms (${whole(Math.min(...rests))}–${whole(Math.max(...rests))})`, verdict(Math.max(...rests) <= atMost)]]
}

async function closeOnce (session, databaseUrl) {
  const server = session.start('scheduler/server-worker.mjs')
  const port = await server.ask('start', { redisUrl: session.redisUrl, databaseUrl, prefix: `${session.prefix}:stop` })
  const frozen = await connect(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  await once(frozen, 'data')
  frozen.pause()
  const kept = await connect(port, `POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`)
  await sleep(50) // its headers are read
  const closed = server.ask('close')
  await sleep(requestTime)
  const answered = once(kept, 'data')
  kept.write(body.slice(10))
  assert.match(String((await answered)[0]), /^HTTP\/1\.1 401 /)
  const ms = await closed
  frozen.destroy()
  await server.end()
  return ms
}

async function connect (port, text) {
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', () => {}) // it is cut off
  await once(socket, 'connect')
  socket.write(text)
  return socket
}
