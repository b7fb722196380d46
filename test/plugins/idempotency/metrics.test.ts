import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { createMemoryStore } from '../../../plugins/idempotency/index.js'
import { until } from '../../helper.js'
import { gate, listen, post, watchedStore } from './helper.js'
import { broken, measured, outcomesOf, shown } from './measured.js'

/** A POST by user 1 without a key. */
const fire = (app: FastifyInstance): ReturnType<typeof post> => app.inject({ method: 'POST', url: '/', headers: { 'x-user': '1' } })

await t.test('a run counts as executed, and what is answered from its record as replayed', async (t) => {
  const { app, registry } = await measured(t)
  app.post('/', async () => 'ok')
  await post(app, '/')
  t.same(await outcomesOf(registry), { '{layer="key",outcome="executed"}': 1 })
  await post(app, '/')
  t.same(await outcomesOf(registry), { '{layer="key",outcome="executed"}': 1, '{layer="key",outcome="replayed"}': 1 })
})

await t.test('a run whose answer gives the key back counts as executed each time', async (t) => {
  const { app, registry } = await measured(t)
  app.post('/', async (_request, reply) => reply.code(502).send('upstream'))
  await post(app, '/')
  await post(app, '/')
  t.same(await outcomesOf(registry), { '{layer="key",outcome="executed"}': 2 })
})

await t.test('a duplicate that waited counts as coalesced, of the same process and of another', async (t) => {
  const store = createMemoryStore()
  const [one, other] = [await measured(t, { store, onConcurrent: 'wait' }), await measured(t, { store, onConcurrent: 'wait' })]
  const [entered, finish] = [gate(), gate()]
  for (const { app } of [one, other]) {
    app.post('/', async () => {
      entered.open()
      await finish.opened
      return 'ok'
    })
  }
  const first = post(one.app, '/')
  await entered.opened
  const [second, third] = [post(one.app, '/'), post(other.app, '/')]
  await until('both wait', async () => (await shown(one.registry, 'idempotency_waiters'))[''] === 1 && (await shown(other.registry, 'idempotency_waiters'))[''] === 1)
  t.equal((await shown(one.registry, 'idempotency_in_flight'))[''], 1)
  finish.open()
  await Promise.all([first, second, third])
  t.same(await outcomesOf(one.registry), { '{layer="key",outcome="executed"}': 1, '{layer="key",outcome="coalesced"}': 1 })
  t.same(await outcomesOf(other.registry), { '{layer="key",outcome="coalesced"}': 1 })
  for (const { registry } of [one, other]) t.same([await shown(registry, 'idempotency_waiters'), await shown(registry, 'idempotency_in_flight')], [{}, {}])
})

await t.test('a duplicate of a running request counts as conflict, also when it has waited', async (t) => {
  const { app, registry } = await measured(t)
  const [entered, finish] = [gate(), gate()]
  const handler = async (): Promise<string> => {
    entered.open()
    await finish.opened
    return 'ok'
  }
  app.post('/', handler)
  app.post('/wait', { config: { idempotency: { onConcurrent: 'wait', waitTimeout: 20 } } }, handler)
  await listen(app) // an injected request alone does not hold the process while it waits
  const running = [post(app, '/'), post(app, '/wait')]
  await until('both run', async () => (await shown(registry, 'idempotency_in_flight'))[''] === 2)
  t.equal((await post(app, '/')).statusCode, 409)
  t.equal((await outcomesOf(registry))['{layer="key",outcome="conflict"}'], 1)
  t.equal((await post(app, '/wait')).statusCode, 409)
  t.equal((await outcomesOf(registry))['{layer="key",outcome="conflict"}'], 2)
  finish.open()
  await Promise.all(running)
})

await t.test('a key that was used for another request counts as mismatch', async (t) => {
  const { app, registry } = await measured(t)
  app.post('/', async () => 'ok')
  await post(app, '/', { payload: { a: 1 } })
  await post(app, '/', { payload: { a: 2 } })
  t.same(await outcomesOf(registry), { '{layer="key",outcome="executed"}': 1, '{layer="key",outcome="mismatch"}': 1 })
})

await t.test('what cannot be taken counts as invalid: no key, a wrong one, nobody, a body without canonical form', async (t) => {
  const { app, registry } = await measured(t, { required: true })
  app.post('/', async () => 'ok')
  const statuses = [await fire(app), await post(app, '/', { headers: { 'idempotency-key': 'ü' } }),
    await app.inject({ method: 'POST', url: '/', headers: { 'idempotency-key': 'k' } }), await post(app, '/', { payload: '['.repeat(100) + ']'.repeat(100), headers: { 'content-type': 'application/json' } })]
  t.same(statuses.map(({ statusCode }) => statusCode), [400, 400, 401, 400])
  t.same(await outcomesOf(registry), { '{layer="key",outcome="invalid"}': 4 })
})

await t.test('without a store a run counts as bypassed, and a refusal as unavailable', async (t) => {
  const { app, registry } = await measured(t, { store: watchedStore({ claim: broken }).store })
  app.post('/', { config: { idempotency: { fingerprint: true } } }, async () => 'ok')
  app.post('/reject', { config: { idempotency: { onStoreFailure: 'reject' } } }, async () => 'ok')
  await post(app, '/')
  t.same(await outcomesOf(registry), { '{layer="key",outcome="bypassed"}': 1 })
  await post(app, '/reject')
  t.same(await outcomesOf(registry), { '{layer="key",outcome="bypassed"}': 1, '{layer="key",outcome="unavailable"}': 1 })
  await fire(app)
  t.equal((await outcomesOf(registry))['{layer="fingerprint",outcome="bypassed"}'], 1)
  t.same(await shown(registry, 'idempotency_handler_duration_seconds_count'), {}, 'no claim, no run')
})

await t.test('an answer that was not kept counts as tombstone when it is asked for', async (t) => {
  const { app, registry } = await measured(t, { maxResponseBytes: 1 })
  app.post('/', async () => 'too large')
  await post(app, '/')
  t.equal((await post(app, '/')).statusCode, 409)
  t.same(await outcomesOf(registry), { '{layer="key",outcome="executed"}': 1, '{layer="key",outcome="tombstone"}': 1 })
})

await t.test('a taken-over claim counts as recovered beside its run, and as lease_lost once where it was lost', async (t) => {
  let time = 0
  const store = createMemoryStore({ now: () => time })
  const [late, survivor] = [await measured(t, { store, lease: 60 }), await measured(t, { store, lease: 60 })]
  const [entered, aborted, finish] = [gate(), gate(), gate()]
  late.app.post('/', async ({ idempotency }) => {
    time += 61 // before the first beat
    entered.open()
    idempotency?.signal.addEventListener('abort', aborted.open)
    await finish.opened
    return 'late'
  })
  survivor.app.post('/', async () => 'survivor')
  await listen(late.app) // an injected request alone does not hold the process until the next beat
  const first = post(late.app, '/')
  await entered.opened
  t.equal((await post(survivor.app, '/')).body, 'survivor')
  t.same(await outcomesOf(survivor.registry), { '{layer="key",outcome="executed"}': 1, '{layer="key",outcome="recovered"}': 1 })
  await aborted.opened
  finish.open()
  await first
  t.same(await outcomesOf(late.registry), { '{layer="key",outcome="executed"}': 1, '{layer="key",outcome="lease_lost"}': 1 })
})

await t.test('where nothing is run again after a crash, a claim that was taken over counts as recovered and tombstone, and no handler as run', async (t) => {
  let time = 0
  const store = createMemoryStore({ now: () => time })
  const [dead, { app, registry }] = [await measured(t, { store }), await measured(t, { store, afterCrash: 'uncertain' })]
  const [entered, finish] = [gate(), gate()]
  const handler = async (): Promise<void> => {
    entered.open()
    await finish.opened
  }
  for (const each of [dead.app, app]) each.post('/', handler)
  const first = post(dead.app, '/')
  await entered.opened
  time += 30_000
  t.equal((await post(app, '/')).statusCode, 409)
  t.same(await outcomesOf(registry), { '{layer="key",outcome="recovered"}': 1, '{layer="key",outcome="tombstone"}': 1 })
  t.same(await shown(registry, 'idempotency_handler_duration_seconds_count'), {})
  finish.open()
  await first
})

await t.test('a double fire counts in its own layer', async (t) => {
  const { app, registry } = await measured(t, { fingerprint: { window: 60_000 } })
  app.post('/', async () => 'ok')
  await fire(app)
  await fire(app)
  t.same(await outcomesOf(registry), { '{layer="fingerprint",outcome="executed"}': 1, '{layer="fingerprint",outcome="replayed"}': 1 })
})

await t.test('what is not protected counts nowhere', async (t) => {
  const { app, registry } = await measured(t)
  app.post('/', async () => 'ok')
  app.get('/', async () => 'ok')
  await fire(app)
  await app.inject({ url: '/', headers: { 'idempotency-key': 'k' } })
  t.same(await outcomesOf(registry), {})
})
