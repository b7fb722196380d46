import type { FastifyInstance } from 'fastify'
import t from 'tap'
import locks from '../../../plugins/locks/index.js'
import type { LockRouteOptions } from '../../../plugins/locks/index.js'
import { until } from '../../helper.js'
import { post } from '../idempotency/helper.js'
import { insert, world } from '../idempotency/transactions.js'
import type { EitherTx, Kind, World } from '../idempotency/transactions.js'
import { gate, isFree } from './helper.js'

const lock: LockRouteOptions = { key: () => 'order', wait: 20_000 }

/** Two instances, whose POST / adds an effect under the lock, passes the gate in its transaction, and answers how many effects it has seen before. */
async function instances (w: World, kind: Kind, { pass }: { pass: () => Promise<void> }, status = 201): Promise<[FastifyInstance, FastifyInstance]> {
  const start = async (): Promise<FastifyInstance> => {
    const app = await w.start(kind)
    await app.register(locks, { redis: w.redis, prefix: w.prefix })
    app.post('/', { config: { lock } }, (request, reply) => reply.transaction(async (tx: EitherTx) => {
      const seen = (await w.effects()).length
      await insert(tx, 'effect')
      await pass()
      return { status, body: { seen } }
    }))
    app.post('/now', { config: { lock: { ...lock, wait: 0 } } }, (_request, reply) => reply.transaction(async () => ({ status: 201, body: 'ran' })))
    return app
  }
  return [await start(), await start()]
}

for (const kind of ['pg', 'Prisma'] as Kind[]) {
  await t.test(`${kind}: transactions of one lock never overlap, on any instance: the next one begins when the last one is committed`, async (t) => {
    const w = await world(t)
    // The COMMIT takes its time: who began before its end would see fewer effects.
    await w.pool.query("CREATE FUNCTION slow () RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END'")
    await w.pool.query('CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON effects DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()')
    const work = gate()
    work.open()
    const apps = await instances(w, kind, work)
    const send = (key: number) => post(apps[key % 2] ?? apps[0], '/', { headers: { 'idempotency-key': `k${key}` } })
    const answers = await Promise.all([0, 1, 2, 3].map(send))
    t.strictSame(answers.map(({ statusCode }) => statusCode), [201, 201, 201, 201])
    t.strictSame(answers.map((answer) => answer.json<{ seen: number }>().seen).sort(), [0, 1, 2, 3])
    t.equal(work.state.most, 1)
    const replays = await Promise.all([0, 1, 2, 3].map(send))
    t.strictSame(replays.map(({ payload, headers }) => [payload, headers['idempotent-replayed']]), answers.map(({ payload }) => [payload, 'true']))
    t.equal((await w.effects()).length, 4)
  })
}

await t.test('a request that finds the lock busy does not use up its key, and a replay needs no lock', async (t) => {
  const w = await world(t)
  const work = gate()
  const [one, other] = await instances(w, 'pg', work)
  const first = post(one, '/')
  await until('it is in its transaction', () => work.state.inside === 1)
  const send = () => post(other, '/now', { headers: { 'idempotency-key': 'other' } })
  t.match((await send()).json(), { code: 'FST_LOCKS_BUSY', statusCode: 409 })
  work.open()
  t.equal((await first).statusCode, 201)
  t.match(await send(), { statusCode: 201, payload: 'ran', headers: { 'idempotency-status': 'created' } })
  const grant = await one.locks.acquire('order')
  t.match(await send(), { statusCode: 201, payload: 'ran', headers: { 'idempotent-replayed': 'true' } })
  await grant.release()
})

await t.test('a transaction that is rolled back is answered once, and gives the lock and the key back', async (t) => {
  const w = await world(t)
  const work = gate()
  work.open()
  const [app] = await instances(w, 'pg', work, 503)
  for (let run = 1; run <= 2; run++) {
    t.match(await post(app, '/'), { statusCode: 503, payload: '{"seen":0}', headers: { 'idempotency-status': 'created' } })
    t.equal(await isFree(app), true)
    t.equal(work.state.runs, run)
  }
  t.same(await w.effects(), [])
})
