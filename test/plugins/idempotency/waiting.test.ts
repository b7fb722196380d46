import { once } from 'node:events'
import { connect } from 'node:net'
import Fastify from 'fastify'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import t from 'tap'
import idempotency, { createMemoryStore } from '../../../plugins/idempotency/index.js'
import type { IdempotencyOptions } from '../../../plugins/idempotency/index.js'
import { testPrefix, testRedis, until } from '../../helper.js'
import { build, gate, listen, pair, post, principal, testPool, watchedStore } from './helper.js'
import { waitersOf } from './measured.js'

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

/** A handler whose runs stay in it until they are let out, one by one. */
function held (answer: (run: number, reply: FastifyReply) => unknown): { handler: Handler, entered: () => number, letOut: (run: number) => void } {
  let entered = 0
  const gates = new Map<number, ReturnType<typeof gate>>()
  const at = (run: number): ReturnType<typeof gate> => {
    const found = gates.get(run) ?? gate()
    gates.set(run, found)
    return found
  }
  return {
    handler: async (_request, reply) => {
      const run = ++entered
      await at(run).opened
      return answer(run, reply)
    },
    entered: () => entered,
    letOut: (run) => { at(run).open() }
  }
}

/** `arrived` waits until so many requests have passed the hooks before the claim. */
async function waiters (t: Test, options: Partial<IdempotencyOptions>, handler: Handler) {
  const app = await build(t, { onConcurrent: 'wait', ...options })
  let arrived = 0
  app.post('/', { preHandler: async () => { arrived++ } }, handler)
  return { app, arrived: async (count: number) => { await until(`${count} requests are there`, () => arrived === count); await new Promise(setImmediate) } }
}

await t.test('duplicates that wait get the bytes, the status and the headers of the first answer, and are told that they were coalesced', async (t) => {
  const { handler, letOut } = held((run, reply) => reply.code(201).header('location', '/1').send({ run, name: 'ü' }))
  const { app, arrived } = await waiters(t, {}, handler)
  const requests = Array.from({ length: 5 }, () => post(app, '/'))
  await arrived(5)
  letOut(1)
  const [first, ...others] = await Promise.all(requests)
  t.equal(first?.headers['idempotency-status'], 'created')
  for (const answer of others) {
    t.ok(first && answer.rawPayload.equals(first.rawPayload))
    t.match(answer, { statusCode: 201, headers: { location: '/1', 'content-type': 'application/json; charset=utf-8', 'idempotency-status': 'coalesced', 'idempotent-replayed': 'true' } })
  }
  t.equal((await post(app, '/')).headers['idempotency-status'], 'replayed')
})

await t.test('after a 5xx exactly one of those who wait runs, and the others get its answer', async (t) => {
  const { handler, entered, letOut } = held((run, reply) => reply.code(run === 1 ? 502 : 200).send({ run }))
  const { app, arrived } = await waiters(t, {}, handler)
  const requests = Array.from({ length: 6 }, () => post(app, '/'))
  await arrived(6)
  letOut(1)
  await until('a second one runs', () => entered() === 2)
  letOut(2)
  const answers = await Promise.all(requests)
  t.same(answers.map(({ statusCode }) => statusCode).sort(), [200, 200, 200, 200, 200, 502])
  t.same(answers.map(({ headers }) => headers['idempotency-status']).sort(), [...Array<string>(4).fill('coalesced'), 'created', 'created'])
  t.equal(entered(), 2)
})

for (const [name, options] of [
  ['waitTimeout', { waitTimeout: 30 }], ['maxWaiters', { maxWaiters: 1, waitTimeout: 2_000 }], ['maxWaitersPerKey', { maxWaitersPerKey: 1, waitTimeout: 2_000 }]
] as const) {
  await t.test(`beyond ${name} a duplicate is 409 with Retry-After`, async (t) => {
    const { handler, letOut } = held(() => 'ok')
    const { app, arrived } = await waiters(t, options, handler)
    const first = [post(app, '/')]
    if (name !== 'waitTimeout') first.push(post(app, '/'))
    await arrived(first.length)
    const refused = await post(app, '/')
    t.equal(refused.statusCode, 409)
    t.match(refused.json(), { code: 'FST_IDEMPOTENCY_IN_FLIGHT' })
    t.ok(Number(refused.headers['retry-after']) > 0 && Number(refused.headers['retry-after']) <= 30)
    letOut(1)
    for (const answer of await Promise.all(first)) t.equal(answer.payload, 'ok')
  })
}

await t.test('a duplicate with another body does not wait: it is 422', async (t) => {
  const { handler, letOut } = held(() => 'ok')
  const { app, arrived } = await waiters(t, {}, handler)
  const requests = [post(app, '/'), post(app, '/')]
  await arrived(2)
  t.match((await post(app, '/', { payload: { other: true } })).json(), { code: 'FST_IDEMPOTENCY_KEY_REUSED' })
  letOut(1)
  await Promise.all(requests)
})

await t.test('those who wait for an answer that cannot be replayed are told so', async (t) => {
  const { handler, letOut } = held(() => 'x'.repeat(100))
  const { app, arrived } = await waiters(t, { maxResponseBytes: 10 }, handler)
  const requests = [post(app, '/'), post(app, '/')]
  await arrived(2)
  letOut(1)
  const [first, second] = await Promise.all(requests)
  t.equal(first?.statusCode, 200)
  t.match(second?.json(), { code: 'FST_IDEMPOTENCY_RESULT_UNAVAILABLE' })
})

type Open = (t: Test) => Promise<IdempotencyOptions['store']>
const shared: Array<[string, Open]> = [
  ['memory', async () => createMemoryStore()], ['Redis', async (t) => ({ redis: testRedis(t) })], ['Postgres', async (t) => ({ postgres: await testPool(t) })],
  ['Redis and Postgres', async (t) => ({ redis: testRedis(t), postgres: await testPool(t) })]
]

for (const [name, open] of shared) {
  await t.test(`two instances that share ${name}: a duplicate at one gets the answer that the other gives`, async (t) => {
    const { handler, entered, letOut } = held((run) => ({ run }))
    const registry = new Registry()
    const [one, other] = await pair(t, { store: await open(t), prefix: testPrefix(), onConcurrent: 'wait', metrics: registry }, handler)
    const first = post(one, '/')
    await until('the first one runs', () => entered() === 1)
    const duplicates = [post(other, '/'), post(other, '/')]
    await until('they wait', async () => await waitersOf(registry) === 2)
    letOut(1)
    const { payload } = await first
    for (const duplicate of await Promise.all(duplicates)) t.same([duplicate.payload, duplicate.headers['idempotency-status']], [payload, 'coalesced'])
    t.equal(entered(), 1)
  })
}

await t.test('a client that goes while it waits makes room for another, and its duplicate never runs', async (t) => {
  const { handler, entered, letOut } = held((_run, reply) => reply.code(500).send())
  const registry = new Registry()
  const { app, arrived } = await waiters(t, { maxWaiters: 1, waitTimeout: 60_000, metrics: registry }, handler)
  const port = await listen(app)
  const first = post(app, '/', { headers: { 'content-type': 'application/json' }, payload: '{}' })
  await arrived(1)
  const socket = connect(port, '127.0.0.1')
  socket.write('POST / HTTP/1.1\r\nhost: a\r\nx-user: 1\r\nidempotency-key: k\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}')
  await arrived(2)
  t.equal((await post(app, '/', { payload: {} })).statusCode, 409)
  socket.destroy()
  await once(socket, 'close')
  await until('there is room', async () => await waitersOf(registry) === 0)
  const next = post(app, '/', { payload: {} })
  await until('the next one waits', async () => await waitersOf(registry) === 1)
  letOut(1)
  t.equal((await first).statusCode, 500)
  await until('the next one runs', () => entered() === 2)
  letOut(2)
  t.equal((await next).statusCode, 500)
  t.equal(entered(), 2)
})

await t.test('a server that stops answers 409 to those who wait for another instance, at once', async (t) => {
  const store = createMemoryStore()
  const { handler, entered, letOut } = held(() => 'ok')
  const [one] = await pair(t, { store, onConcurrent: 'wait' }, handler)
  const { store: seen, calls } = watchedStore(store)
  const other = Fastify()
  await other.register(idempotency, { store: seen, principal, onConcurrent: 'wait' })
  other.post('/', handler)
  const port = await listen(other)
  const first = post(one, '/')
  await until('the first one runs', () => entered() === 1)
  const waiting = fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers: { 'x-user': '1', 'idempotency-key': 'k' } })
  await until('the duplicate waits', () => calls.includes('waitFor'))
  await other.close()
  t.equal((await waiting).status, 409)
  letOut(1)
  t.equal((await first).payload, 'ok')
  t.equal(entered(), 1)
})
