import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { createMemoryStore } from '../../../plugins/idempotency/index.js'
import { build, fire, gate, watchedStore } from './helper.js'

await t.test('without the option equal requests all run, and ask the store nothing', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store })
  let runs = 0
  app.post('/', async () => ({ run: ++runs }))
  for (const run of [1, 2]) t.same((await fire(app, '/')).json(), { run })
  t.same(calls, [])
})

await t.test('a route may have a window of its own, or none', async (t) => {
  let time = 0
  const app = await build(t, { store: createMemoryStore({ now: () => time }), fingerprint: { window: 1_000 } })
  app.post('/plugin', async () => 'ok')
  app.post('/short', { config: { idempotency: { fingerprint: true } } }, async () => 'ok')
  app.post('/none', { config: { idempotency: { fingerprint: false } } }, async () => 'ok')
  const statuses = async (): Promise<unknown[]> => await Promise.all(['/plugin', '/short', '/none'].map(async (url) => (await fire(app, url)).headers['idempotency-status']))
  t.same(await statuses(), ['created', 'created', undefined])
  t.same(await statuses(), ['replayed', 'replayed', undefined])
  time += 100
  t.same(await statuses(), ['replayed', 'created', undefined])
})

await t.test('a duplicate gets 409 at once where onConcurrent says reject', async (t) => {
  const app = await build(t, { fingerprint: { window: 60_000 }, onConcurrent: 'reject' })
  const [entered, finish] = [gate(), gate()]
  app.post('/', async () => {
    entered.open()
    await finish.opened
    return 'ok'
  })
  const first = fire(app, '/')
  await entered.opened
  t.match((await fire(app, '/')).json(), { code: 'FST_IDEMPOTENCY_IN_FLIGHT' })
  finish.open()
  t.equal((await first).statusCode, 200)
})

await t.test('a required key is required, whatever the content', async (t) => {
  const app = await build(t, { fingerprint: true, required: true })
  app.post('/', async () => 'ok')
  t.match((await fire(app, '/')).json(), { code: 'FST_IDEMPOTENCY_KEY_MISSING' })
})

await t.test('an adaptive window learns how late this user\'s double fires come', async (t) => {
  let [time, runs] = [0, 0]
  const app = await build(t, { store: createMemoryStore({ now: () => time }), fingerprint: { adaptive: { min: 1, max: 600_000 } } })
  app.post('/', async () => ({ run: ++runs }))
  const run = async (): Promise<number> => (await fire(app, '/')).json<{ run: number }>().run
  t.equal(await run(), 1)
  await delay(40) // the gap that is learned from, by a clock that no option replaces: the window is 60 ms at least from now on
  time += 40
  t.equal(await run(), 2)
  time += 40
  t.equal(await run(), 2)
})

await t.test('without a store a request runs unprotected and is told so, or is refused where the route rejects', async (t) => {
  const app = await build(t, { store: watchedStore({ claim: async () => { throw new Error('the store is broken') } }).store, fingerprint: true })
  app.post('/', async () => 'ok')
  app.post('/reject', { config: { idempotency: { onStoreFailure: 'reject' } } }, async () => 'ok')
  t.equal((await fire(app, '/')).headers['idempotency-status'], 'bypassed')
  t.equal((await fire(app, '/reject')).statusCode, 503)
})
