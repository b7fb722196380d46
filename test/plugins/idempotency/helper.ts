import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions, InjectOptions, LightMyRequestResponse, RouteHandlerMethod } from 'fastify'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import idempotency, { createMemoryStore } from '../../../plugins/idempotency/index.js'
import type { IdempotencyOptions, IdempotencyStore } from '../../../plugins/idempotency/index.js'
export { gate } from '../../helper.js'
export type { Gate } from '../../helper.js'
export { testPool } from '../../helper.js'

/** The header `x-user` says who calls. */
export const principal: IdempotencyOptions['principal'] = ({ headers }) => headers['x-user'] === undefined ? null : String(headers['x-user'])

/** An application with the plugin, over the memory store and for the user of `post` unless told otherwise. It is closed with the test. */
export async function build (t: Test, options: Partial<IdempotencyOptions> = {}, server: FastifyServerOptions = {}): Promise<FastifyInstance> {
  const app = Fastify(server)
  t.teardown(() => app.close())
  await app.register(idempotency, { store: 'memory', principal, ...options })
  return app
}

/** Two applications as of two processes that share a store, with one route, POST /. */
export async function pair (t: Test, options: Partial<IdempotencyOptions>, handler: RouteHandlerMethod): Promise<[FastifyInstance, FastifyInstance]> {
  const start = async (): Promise<FastifyInstance> => {
    const app = await build(t, options)
    app.post('/', handler)
    return app
  }
  return [await start(), await start()]
}

/** A POST by user 1 with key `k`. A header that is undefined is not sent. */
export function post (app: FastifyInstance, url: string, { headers, ...changes }: Omit<InjectOptions, 'url'> = {}): Promise<LightMyRequestResponse> {
  const sent = Object.entries({ 'x-user': '1', 'idempotency-key': 'k', ...headers }).filter(([, value]) => value !== undefined)
  return app.inject({ method: 'POST', url, ...changes, headers: Object.fromEntries(sent) })
}

/** A POST by user 1 without a key. */
export function fire (app: FastifyInstance, url: string): Promise<LightMyRequestResponse> {
  return app.inject({ method: 'POST', url, headers: { 'x-user': '1' } })
}

/** Calls that reached the memory store, in order, with the store itself. `changes` replace methods. */
export function watchedStore (changes: Partial<IdempotencyStore> = {}): { store: IdempotencyStore, calls: string[] } {
  const calls: string[] = []
  const store: IdempotencyStore = { ...createMemoryStore(), ...changes }
  const watched = Object.fromEntries(Object.entries(store).map(([name, method]: [string, (...args: never[]) => unknown]) =>
    [name, (...args: never[]) => { calls.push(name); return method(...args) }]))
  return { store: watched as unknown as IdempotencyStore, calls }
}

/** Listens on a free port and returns it. */
export async function listen (app: FastifyInstance): Promise<number> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  return (app.server.address() as AddressInfo).port
}

/** Sends bytes as they are and returns all that comes back until the server closes. */
export async function raw (port: number, lines: string[], body = '', { declared = true } = {}): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.setEncoding('latin1')
  socket.write(Buffer.from([...lines, 'host: test', 'connection: close', ...declared ? [`content-length: ${body.length}`] : [], '', body].join('\r\n'), 'latin1'))
  return await text(socket)
}
