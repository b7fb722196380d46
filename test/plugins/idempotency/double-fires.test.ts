import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import t from 'tap'
import { createMemoryStore } from '../../../plugins/idempotency/index.js'
import type { IdempotencyOptions } from '../../../plugins/idempotency/index.js'
import { until } from '../../helper.js'
import { build, gate } from './helper.js'
import { waitersOf } from './measured.js'

/** An application whose store's clock is moved by hand, with double fires recognised on POST /:id. */
async function fires (t: Test, options: Partial<IdempotencyOptions> = {}): Promise<{ app: FastifyInstance, registry: Registry, runs: () => number, skip: (ms: number) => void, fire: (changes?: InjectOptions) => Promise<LightMyRequestResponse> }> {
  let [time, runs] = [0, 0]
  const registry = new Registry()
  const app = await build(t, { store: createMemoryStore({ now: () => time }), fingerprint: true, metrics: registry, ...options })
  app.addContentTypeParser('text/json', { parseAs: 'string' }, async (_request: unknown, body: string) => JSON.parse(body) as unknown)
  app.addContentTypeParser('x/stream', (_request, payload, done) => { done(null, payload) })
  app.post('/:id', async ({ idempotency }) => ({ run: ++runs, layer: idempotency?.layer ?? null }))
  const fire = ({ headers, ...changes }: InjectOptions = {}): Promise<LightMyRequestResponse> =>
    app.inject({ method: 'POST', url: '/1?a=1&b=2', payload: { amount: 1, to: 'x' }, ...changes, headers: { 'x-user': '1', ...headers } })
  return { app, registry, runs: () => runs, skip: (ms) => { time += ms }, fire }
}

const status = ({ headers }: LightMyRequestResponse): unknown => headers['idempotency-status']

await t.test('two equal requests at once run once, and both get the one answer', async (t) => {
  const { app, registry, fire } = await fires(t)
  const [entered, finish] = [gate(), gate()]
  app.post('/slow', async ({ idempotency }) => {
    entered.open()
    await finish.opened
    return { key: idempotency?.key }
  })
  const first = fire({ url: '/slow' })
  await entered.opened
  const second = fire({ url: '/slow' })
  await until('it waits', async () => await waitersOf(registry) === 1)
  finish.open()
  const answers = await Promise.all([first, second])
  t.same(answers.map(status), ['created', 'coalesced'])
  t.equal(answers[1].payload, answers[0].payload)
  t.match(answers[0].json(), { key: /^[0-9a-f]{64}$/ })
})

await t.test('a second one after the first has ended, still within the window, is replayed', async (t) => {
  const { fire, skip } = await fires(t)
  t.same((await fire()).json(), { run: 1, layer: 'fingerprint' })
  skip(99)
  const second = await fire()
  t.same([second.json(), status(second)], [{ run: 1, layer: 'fingerprint' }, 'replayed'])
})

await t.test('the window begins with the first one, so that a chain of fires does not grow into one', async (t) => {
  const { fire, skip } = await fires(t, { fingerprint: { window: 1_000 } })
  const run = async (): Promise<unknown> => (await fire()).json<{ run: number }>().run
  t.equal(await run(), 1)
  for (const [ms, expected] of [[600, 1], [399, 1], [1, 2], [999, 2], [1, 3]] as const) {
    skip(ms)
    t.equal(await run(), expected)
  }
})

await t.test('a fire that runs longer than the window does not swallow the next one', async (t) => {
  const { app, fire, skip } = await fires(t)
  const [entered, finish] = [gate(), gate()]
  let runs = 0
  app.post('/slow', async () => {
    const run = ++runs
    if (run === 1) {
      entered.open()
      await finish.opened
    }
    return { run }
  })
  const first = fire({ url: '/slow' })
  await entered.opened
  skip(100)
  t.same((await fire({ url: '/slow' })).json(), { run: 2 })
  finish.open()
  t.same((await first).json(), { run: 1 })
})

const equal: Array<[string, InjectOptions]> = [
  ['keys in another order and another notation', { payload: ' {"to":"\\u0078","amount":1.0} ', headers: { 'content-type': 'application/json' } }],
  ['query parameters in another order', { url: '/1?b=2&a=1' }],
  ['a charset', { headers: { 'content-type': 'application/json; charset=utf-8' } }],
  ['another connection, agent and request id', { headers: { 'user-agent': 'other', 'x-request-id': '2' } }]
]

for (const [name, changes] of equal) {
  await t.test(`with ${name} it is the same request`, async (t) => {
    const { fire, runs } = await fires(t)
    await fire()
    t.equal(status(await fire(changes)), 'replayed')
    t.equal(runs(), 1)
  })
}

const different: Array<[string, InjectOptions]> = [
  ['another user', { headers: { 'x-user': '2' } }],
  ['another body', { payload: { amount: 2, to: 'x' } }],
  ['a body of another type', { payload: { amount: '1', to: 'x' } }],
  ['another query', { url: '/1?a=1&b=3' }],
  ['another param', { url: '/2?a=1&b=2' }],
  ['another media type', { headers: { 'content-type': 'text/json' } }],
  ['a key', { headers: { 'idempotency-key': 'k' } }]
]

for (const [name, changes] of different) {
  await t.test(`with ${name} it is another request, even at the same time`, async (t) => {
    const { fire, runs } = await fires(t)
    t.same((await Promise.all([fire(), fire(changes)])).map(status), ['created', 'created'])
    t.equal(runs(), 2)
  })
}

await t.test('a key wins: two keys are two intents whatever the window says, and a key is known after the window', async (t) => {
  const { fire, skip } = await fires(t)
  const keyed = async (key: string): Promise<unknown> => (await fire({ headers: { 'idempotency-key': key } })).json()
  t.same([await keyed('a'), await keyed('b')], [{ run: 1, layer: 'key' }, { run: 2, layer: 'key' }])
  skip(1_000)
  t.same(await keyed('a'), { run: 1, layer: 'key' })
})

const nested = '['.repeat(65) + ']'.repeat(65)
for (const [name, payload, type] of [
  ['a number that is not finite', '{"a":1e400}', 'application/json'], ['a lone surrogate', '{"a":"\\ud800"}', 'application/json'], ['65 levels', nested, 'application/json'], ['a stream', 'abc', 'x/stream']
] as const) {
  await t.test(`a body with ${name} cannot be compared, and runs as it is`, async (t) => {
    const { fire } = await fires(t)
    for (const run of [1, 2]) {
      const answer = await fire({ payload, headers: { 'content-type': type } })
      t.same([answer.json(), status(answer)], [{ run, layer: null }, undefined])
    }
  })
}

await t.test('a request of nobody runs as it is', async (t) => {
  const { fire } = await fires(t, { principal: () => null })
  t.same([(await fire()).json(), (await fire()).json()], [{ run: 1, layer: null }, { run: 2, layer: null }])
})

await t.test('with a scope function requests are one when the scope and the principal are', async (t) => {
  const { fire } = await fires(t, { scope: ({ headers }) => String(headers['x-tenant']) })
  const run = async (user: string, tenant: string): Promise<number> => (await fire({ headers: { 'x-user': user, 'x-tenant': tenant } })).json<{ run: number }>().run
  t.same([await run('1', 'a'), await run('2', 'a'), await run('1', 'b'), await run('1', 'a'), await run('2', 'a')], [1, 2, 3, 1, 2])
})

await t.test('when the first one fails the second one runs', async (t) => {
  const { app, registry, fire } = await fires(t)
  const [entered, finish] = [gate(), gate()]
  let runs = 0
  app.post('/slow', async (_request, reply) => {
    const run = ++runs
    entered.open()
    await finish.opened
    return reply.code(run === 1 ? 500 : 200).send({ run })
  })
  const first = fire({ url: '/slow' })
  await entered.opened
  const second = fire({ url: '/slow' })
  await until('it waits', async () => await waitersOf(registry) === 1)
  finish.open()
  t.same([(await first).statusCode, (await second).json()], [500, { run: 2 }])
})

await t.test('a window that is longer than the lease holds to its end', async (t) => {
  const { fire, skip, runs } = await fires(t, { lease: 1_000, fingerprint: { window: 4_000 } })
  for (const [ms, expected] of [[0, 1], [1_500, 1], [2_499, 1], [1, 2]] as const) {
    skip(ms)
    await fire()
    t.equal(runs(), expected)
  }
})
