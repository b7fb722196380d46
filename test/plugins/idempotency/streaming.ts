import { connect } from 'node:net'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { IdempotencyOptions, IdempotencyStore } from '../../../plugins/idempotency/index.js'
import { createMemoryStore } from '../../../plugins/idempotency/index.js'
import { until } from '../../helper.js'
import { gate, listen } from './helper.js'
import type { Gate } from './helper.js'

export const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251))
export const webStream = (...chunks: Uint8Array[]): ReadableStream => new ReadableStream({
  start (controller) {
    for (const chunk of chunks) controller.enqueue(chunk)
    controller.close()
  }
})

export interface Client {
  socket: Socket
  text: () => string
  received: (part: string) => Promise<unknown>
  /** Several turns of the event loop, which bring what has been written. */
  turn: () => Promise<void>
  isDone: () => boolean
}

/** A POST over a socket that stays open. */
export async function send (t: Test, app: FastifyInstance): Promise<Client> {
  const port = app.server.listening ? (app.server.address() as { port: number }).port : await listen(app)
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  let text = ''
  socket.setEncoding('latin1').on('data', (data: string) => { text += data }).on('error', () => {})
  socket.write('POST / HTTP/1.1\r\nhost: a\r\nx-user: 1\r\nidempotency-key: k\r\ncontent-length: 0\r\n\r\n')
  return {
    socket,
    text: () => text,
    received: (part) => until(`the client has received ${part}`, () => text.includes(part)),
    async turn () { for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate) },
    isDone: () => text.includes('0\r\n\r\n')
  }
}

/** A store that tells when it is asked to complete, and waits then. */
export function slowStore (): { store: IdempotencyOptions['store'], completing: Gate, completed: Gate } {
  const [completing, completed] = [gate(), gate()]
  const memory = createMemoryStore()
  const complete: IdempotencyStore['complete'] = async (claim, response) => {
    completing.open()
    await completed.opened
    return await memory.complete(claim, response)
  }
  return { store: { ...memory, complete }, completing, completed }
}
