import t from 'tap'
import { until } from '../../helper.js'
import { gate, post } from './helper.js'
import { addEffectRoute, world } from './transactions.js'
import type { Kind, World } from './transactions.js'

/** Waits inside the first transaction that gets there. */
function pause () {
  const [entered, finish] = [gate(), gate()]
  let first = true
  const wait = async (): Promise<void> => {
    if (!first) return
    first = false
    entered.open()
    await finish.opened
  }
  return { entered: entered.opened, finish: finish.open, wait }
}

/** Two instances; the first request of all waits inside its transaction. `apart`: in Redis neither sees the other's claims, as after a loss that nobody noticed. */
async function twoInstances ({ start, prefix }: World, kind: Kind, { apart = false } = {}) {
  const paused = pause()
  const apps = [await start(kind), await start(kind, apart ? { prefix: `${prefix}-2` } : {})] as const
  for (const app of apps) addEffectRoute(app, paused.wait)
  return { apps, ...paused }
}

const lost = [
  ['one that still runs', "state = 'running', lease_until = now() + interval '20 s'", 409, 'FST_IDEMPOTENCY_IN_FLIGHT'],
  ['a tombstone', "state = 'tombstone'", 409, 'FST_IDEMPOTENCY_RESULT_UNAVAILABLE'],
  ['another request', "fingerprint = decode(repeat('11', 32), 'hex')", 422, 'FST_IDEMPOTENCY_KEY_REUSED']
] as const

for (const kind of ['pg', 'Prisma'] as Kind[]) {
  await t.test(`${kind}: after a flush a retry of what was committed gets the committed answer, and its own work is rolled back`, async (t) => {
    const w = await world(t)
    const [one, other] = [await w.start(kind), await w.start(kind)]
    for (const app of [one, other]) addEffectRoute(app)
    await post(one, '/', { payload: { name: 'a' } })
    await w.flush()
    t.match(await post(other, '/', { payload: { name: 'a' } }), { statusCode: 201, payload: '{"name":"a"}', headers: { 'idempotent-replayed': 'true', location: '/a' } })
    t.same(await w.effects(), ['a'])
  })

  await t.test(`${kind}: of two runs of one key one commits, and both clients get its answer`, async (t) => {
    const w = await world(t)
    const { apps: [one, other], entered, finish } = await twoInstances(w, kind, { apart: true })
    const first = post(one, '/')
    await entered
    const second = await post(other, '/')
    finish()
    const late = await first
    t.match([second.statusCode, second.payload, second.headers['idempotency-status']], [201, '{"name":"run 1"}', 'created'])
    t.match([late.statusCode, late.payload, late.headers['idempotency-status'], late.headers['idempotent-replayed']], [201, '{"name":"run 1"}', 'replayed', 'true'])
    t.same(await w.effects(), ['run 1'])
    for (const app of [one, other]) t.equal((await post(app, '/')).headers['idempotent-replayed'], 'true')
  })

  await t.test(`${kind}: the one that commits first may be the one that has lost its claim in Redis`, async (t) => {
    const w = await world(t)
    const inside = gate()
    const apart = { prefix: `${w.prefix}-2` }
    const [one, other, third] = [await w.start(kind), await w.start(kind, apart), await w.start(kind, apart)]
    const [held, late] = [pause(), pause()]
    addEffectRoute(one, held.wait)
    other.post('/', (request, reply) => reply.transaction(async () => {
      inside.open()
      await late.wait()
      return { status: 200, body: 'never' }
    }))
    addEffectRoute(third)
    const first = post(one, '/')
    await held.entered
    const second = post(other, '/')
    await inside.opened
    held.finish()
    t.match(await first, { statusCode: 201, payload: '{"name":"run 1"}' })
    late.finish()
    t.match(await second, { statusCode: 201, payload: '{"name":"run 1"}', headers: { 'idempotent-replayed': 'true', location: '/run%201' } })
    t.match(await post(third, '/'), { payload: '{"name":"run 1"}' }, 'Redis was told by the one that held its claim')
    t.same(await w.effects(), ['run 1'])
  })

  await t.test(`${kind}: a run whose lease was taken over rolls back and answers what the other has stored`, async (t) => {
    const w = await world(t)
    const { apps: [one, other], entered, finish } = await twoInstances(w, kind)
    const first = post(one, '/')
    await entered
    await steal(w)
    t.match(await post(other, '/'), { statusCode: 201, payload: '{"name":"run 1"}' })
    finish()
    t.match(await first, { statusCode: 201, payload: '{"name":"run 1"}', headers: { 'idempotent-replayed': 'true' } })
    t.same(await w.effects(), ['run 1'])
  })

  for (const [how, change, status, code] of lost) {
    await t.test(`${kind}: a run that lost its key to ${how} is answered ${status}`, async (t) => {
      const w = await world(t)
      const [one, other] = [await w.start(kind), await w.start(kind)]
      addEffectRoute(one)
      await post(one, '/')
      await w.pool.query('DELETE FROM effects')
      await w.pool.query('CREATE TABLE winner AS SELECT * FROM idempotency_records')
      await w.pool.query('TRUNCATE idempotency_records')
      await w.flush()
      addEffectRoute(other, async () => {
        await w.pool.query(`UPDATE winner SET token = 'of another attempt', ${change}`)
        await w.pool.query('INSERT INTO idempotency_records SELECT * FROM winner')
      })
      const answer = await post(other, '/')
      t.match(answer.json(), { status, code }, answer.payload)
      t.notHas(answer.headers, { 'idempotency-status': String })
      const wait = Number(answer.headers['retry-after'] ?? 20)
      t.ok(wait > 15 && wait <= 20, `Retry-After: ${wait}`)
      t.same(await w.effects(), [])
    })
  }
}

/** As when the lease of the key that Redis holds were past. */
async function steal ({ redis, prefix }: World): Promise<void> {
  await redis.del(await until('there is a claim', async () => (await redis.keys(`${prefix}:*`)).find((key) => /:[0-9a-f]{64}$/.test(key))))
}
