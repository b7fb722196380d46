import t from 'tap'
import { createMemoryStore } from '../../../plugins/idempotency/index.js'
import { until } from '../../helper.js'
import { build, fire, gate, listen, pair, post, raw, watchedStore } from './helper.js'

await t.test('downstreamKey is the same in every retry, and another one for every name, key, user, route and param', async (t) => {
  const app = await build(t)
  const seen: string[] = []
  for (const url of ['/a/:id', '/b/:id']) {
    app.post(url, async ({ idempotency }) => {
      for (const name of ['charge', 'mail']) seen.push(idempotency?.downstreamKey(name) ?? '')
      throw new Error('not yet')
    })
  }
  const keys = async (url: string, headers = {}): Promise<string[]> => {
    await post(app, url, { headers })
    return seen.splice(0)
  }
  const first = await keys('/a/1')
  t.same(await keys('/a/1'), first)
  const all = [...first, ...await keys('/a/2'), ...await keys('/b/1'), ...await keys('/a/1', { 'x-user': '2' }), ...await keys('/a/1', { 'idempotency-key': 'l' })]
  t.equal(new Set(all).size, 10)
  for (const key of all) t.match(key, /^[0-9a-f]{64}$/)
})

await t.test('downstreamKey of a double fire is its own: a later fire gets another', async (t) => {
  let time = 0
  const app = await build(t, { store: createMemoryStore({ now: () => time }), fingerprint: true })
  app.post('/', async ({ idempotency }) => idempotency?.downstreamKey('charge'))
  const [first, double] = [await fire(app, '/'), await fire(app, '/')]
  time += 100
  const later = await fire(app, '/')
  t.equal(double.payload, first.payload)
  t.not(later.payload, first.payload)
})

await t.test('the signal aborts when another instance has taken the key over', async (t) => {
  let time = 0
  const [entered, aborted] = [gate(), gate()]
  let runs = 0
  const [one, other] = await pair(t, { store: createMemoryStore({ now: () => time }), lease: 60 }, async ({ idempotency }) => {
    if (++runs > 1) return { run: 2 }
    idempotency?.signal.addEventListener('abort', aborted.open)
    entered.open()
    await aborted.opened
    return { run: 1, reason: String(idempotency?.signal.reason) }
  })
  await listen(one) // heartbeats keep no process alive
  const first = post(one, '/')
  await entered.opened
  time += 1_000_000 // for the store the first one's process is long dead, whatever its heart does meanwhile
  const taken = await until('the key is taken over', async () => {
    const answer = await post(other, '/')
    if (answer.statusCode === 200) return answer
    time += 1_000_000
    return null
  })
  t.same(taken.json(), { run: 2 })
  t.same((await first).json(), { run: 1, reason: 'Error: the claim was lost to another attempt' })
})

await t.test('the signal aborts after maxExecution, and a retry may run then', async (t) => {
  const app = await build(t, { lease: 30, maxExecution: 50 })
  const [aborted, finish] = [gate(), gate()]
  let runs = 0
  app.post('/', async ({ idempotency }) => {
    const run = ++runs
    if (run === 1) {
      idempotency?.signal.addEventListener('abort', aborted.open)
      await finish.opened
    }
    return { run }
  })
  await listen(app) // heartbeats keep no process alive
  const first = post(app, '/')
  await aborted.opened
  const retry = await until('a retry runs', async () => {
    const answer = await post(app, '/')
    return answer.statusCode === 200 ? answer : null
  })
  t.same(retry.json(), { run: 2 })
  finish.open()
  t.same((await first).json(), { run: 1 })
  t.same((await post(app, '/')).json(), { run: 2 })
})

await t.test('a handler that runs longer than its lease keeps its key', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store, lease: 300 })
  const finish = gate()
  let runs = 0
  app.post('/', async () => {
    runs++
    await finish.opened
    return 'ok'
  })
  const first = post(app, '/')
  await until('its lease was extended four times', () => calls.filter((call) => call === 'extend').length >= 4)
  t.equal((await post(app, '/')).statusCode, 409)
  finish.open()
  t.equal((await first).payload, 'ok')
  t.equal(runs, 1)
})

await t.test('a request that handlerTimeout answered while the store was asked holds no key', async (t) => {
  const memory = createMemoryStore()
  const slow = gate()
  const { store, calls } = watchedStore({ claim: async (claim) => { await slow.opened; return await memory.claim(claim) }, release: memory.release })
  const app = await build(t, { store })
  let runs = 0
  app.post('/', { handlerTimeout: 50 }, async () => ({ run: ++runs }))
  t.match(await raw(await listen(app), ['POST / HTTP/1.1', 'x-user: 1', 'idempotency-key: k']), /^HTTP\/1.1 503 /)
  slow.open()
  await until('the key is given back', () => calls.includes('release'))
  t.equal(runs, 0)
  t.equal((await post(app, '/')).statusCode, 200)
})

await t.test('after a crash a retry runs, or is refused for good where the route is uncertain', async (t) => {
  for (const [afterCrash, expected] of [['retry', [200, 200]], ['uncertain', [409, 409]]] as const) {
    let time = 0
    const store = createMemoryStore({ now: () => time })
    const dead = await build(t, { store })
    const [entered, finish] = [gate(), gate()]
    dead.post('/', async () => {
      entered.open()
      await finish.opened
    })
    const lost = post(dead, '/')
    await entered.opened
    time += 30_000
    const app = await build(t, { store, afterCrash })
    app.post('/', async () => 'ok')
    const statuses = [(await post(app, '/')).statusCode, (await post(app, '/')).statusCode]
    t.same(statuses, expected)
    finish.open()
    await lost
  }
})
