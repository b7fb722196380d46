import t from 'tap'
import { createMemoryStore } from '../../../plugins/idempotency/index.js'
import { build, gate, pair, post, watchedStore } from './helper.js'

const broken = async (): Promise<never> => { throw new Error('the store is broken') }

await t.test('without a store an optional key runs unprotected and is told so', async (t) => {
  const app = await build(t, { store: watchedStore({ claim: broken }).store })
  let runs = 0
  app.post('/', async (request) => ({ run: ++runs, idempotency: request.idempotency }))
  for (const run of [1, 2]) {
    const answer = await post(app, '/')
    t.same(answer.json(), { run, idempotency: null })
    t.equal(answer.headers['idempotency-status'], 'bypassed')
  }
})

await t.test('without a store a required key is 503 with Retry-After, and the handler does not run', async (t) => {
  const app = await build(t, { store: watchedStore({ claim: broken }).store })
  let runs = 0
  const handler = async (): Promise<object> => ({ run: ++runs })
  app.post('/required', { config: { idempotency: { required: true } } }, handler)
  app.post('/reject', { config: { idempotency: { onStoreFailure: 'reject' } } }, handler)
  for (const url of ['/required', '/reject']) {
    const answer = await post(app, url)
    t.equal(answer.statusCode, 503)
    t.equal(answer.headers['retry-after'], '1')
    t.match(answer.json(), { code: 'FST_IDEMPOTENCY_STORE_UNAVAILABLE' })
  }
  t.equal(runs, 0)
})

await t.test('a required route may proceed when it says so', async (t) => {
  const app = await build(t, { store: watchedStore({ claim: broken }).store })
  app.post('/', { config: { idempotency: { required: true, onStoreFailure: 'proceed' } } }, async () => 'ok')
  t.equal((await post(app, '/')).headers['idempotency-status'], 'bypassed')
})

await t.test('when the answer cannot be kept, the client still gets it and the key is not given back', async (t) => {
  const { store, calls } = watchedStore({ complete: broken })
  const app = await build(t, { store })
  let runs = 0
  app.post('/', async (request, reply) => reply.code(201).send({ run: ++runs }))
  const first = await post(app, '/')
  t.equal(first.statusCode, 201)
  t.same(first.json(), { run: 1 })
  t.equal((await post(app, '/')).statusCode, 409)
  t.notOk(calls.includes('release'))
})

await t.test('a record that no answer can be made of fails its request, not the process', async (t) => {
  const response = { status: 42, headers: {}, body: '' }
  const app = await build(t, { store: watchedStore({ claim: async ({ fingerprint, token }) => ({ state: 'completed', fingerprint, token, response }) }).store })
  app.post('/', async () => 'ok')
  t.equal((await post(app, '/')).statusCode, 500)
})

await t.test('when a key cannot be given back, the client still gets its error', async (t) => {
  const app = await build(t, { store: watchedStore({ release: broken }).store })
  app.post('/', async (request, reply) => reply.code(502).send({ error: 'upstream' }))
  t.same((await post(app, '/')).json(), { error: 'upstream' })
})

await t.test('an onSend hook that throws after ours does not undo the record: the work was done', async (t) => {
  const { store, calls } = watchedStore()
  const app = await build(t, { store, localCache: { maxRecords: 0 } })
  let [runs, faulty] = [0, true]
  app.addHook('onSend', async () => {
    if (faulty) throw new Error('a bug of the user')
  })
  app.post('/', async (request, reply) => reply.code(201).send({ run: ++runs }))
  t.equal((await post(app, '/')).statusCode, 500)
  faulty = false
  const retry = await post(app, '/')
  t.equal(retry.statusCode, 201)
  t.same(retry.json(), { run: 1 })
  t.same(calls, ['claim', 'complete', 'claim'])
})

await t.test('an attempt that lost its claim answers its own client, and the record is the survivor\'s', async (t) => {
  let time = 0
  const [entered, finish] = [gate(), gate()]
  let runs = 0
  const attempts = new Set<string>()
  const [one, other] = await pair(t, { store: createMemoryStore({ now: () => time }), lease: 30_000 }, async ({ idempotency }) => {
    attempts.add(idempotency?.attempt ?? '')
    const run = ++runs
    if (run === 1) {
      entered.open()
      await finish.opened
    }
    return { run }
  })
  const late = post(one, '/')
  await entered.opened
  t.equal((await post(other, '/')).statusCode, 409)
  time += 30_000
  t.same((await post(other, '/')).json(), { run: 2 })
  finish.open()
  t.same((await late).json(), { run: 1 })
  for (const app of [one, other]) t.same((await post(app, '/')).json(), { run: 2 })
  t.equal(attempts.size, 2)
})

await t.test('a late 5xx does not give away the claim of the survivor', async (t) => {
  let time = 0
  const gates = [{ entered: gate(), finish: gate() }, { entered: gate(), finish: gate() }]
  let runs = 0
  const [one, other] = await pair(t, { store: createMemoryStore({ now: () => time }), lease: 30_000 }, async (request, reply) => {
    const run = runs++
    gates[run]?.entered.open()
    await gates[run]?.finish.opened
    return reply.code(run === 0 ? 500 : 200).send({ run })
  })
  const late = post(one, '/')
  await gates[0]?.entered.opened
  time += 30_000
  const survivor = post(other, '/')
  await gates[1]?.entered.opened
  gates[0]?.finish.open()
  t.equal((await late).statusCode, 500)
  t.equal((await post(one, '/')).statusCode, 409)
  gates[1]?.finish.open()
  t.same((await survivor).json(), { run: 1 })
})
