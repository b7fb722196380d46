import pg from 'pg'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import t from 'tap'
import { faultProxy } from '../../chaos/fault-proxy.js'
import type { FaultProxy } from '../../chaos/fault-proxy.js'
import { until } from '../../helper.js'
import { post } from './helper.js'
import { addEffectRoute, insert, world } from './transactions.js'
import type { Kind, World } from './transactions.js'

/** An instance whose transactions go through the proxy. */
async function proxied (t: Test, kind: Kind, timeout = 1_000): Promise<{ w: World, app: FastifyInstance, proxy: FaultProxy, own: pg.Pool, runs: () => number }> {
  const w = await world(t)
  const proxy = await faultProxy(t, w.pool.options.connectionString ?? '')
  const own = new pg.Pool({ connectionString: proxy.url, query_timeout: timeout, connectionTimeoutMillis: 1_000 })
  own.on('error', () => {}) // the proxy resets it
  own.on('connect', (client) => client.on('error', () => {}))
  t.teardown(() => own.end())
  const app = await w.start(kind, { lease: 2_000 }, own)
  const { runs } = addEffectRoute(app)
  return { w, app, proxy, own, runs }
}

const isCommit = (chunk: Buffer): boolean => /COMMIT/i.test(chunk.toString('latin1'))
const openTransactions = async ({ pool }: World): Promise<number> =>
  (await pool.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'")).rowCount ?? 0

for (const kind of ['pg', 'Prisma'] as Kind[]) {
  await t.test(`${kind}: a COMMIT whose reply was lost is looked up, and answered`, async (t) => {
    const { w, app, proxy, runs } = await proxied(t, kind)
    proxy.resetOn('down', isCommit)
    t.match(await post(app, '/'), { statusCode: 201, payload: '{"name":"run 1"}', headers: { 'idempotency-status': 'created' } })
    t.same([await w.effects(), await w.records(), runs()], [['run 1'], ['completed'], 1])
    t.equal((await post(app, '/')).headers['idempotent-replayed'], 'true')
  })

  await t.test(`${kind}: a COMMIT that never arrived is answered 503, and the retry runs`, async (t) => {
    const { w, app, proxy } = await proxied(t, kind)
    proxy.resetOn('up', isCommit)
    const answer = await post(app, '/')
    t.match([answer.statusCode, answer.json().code, answer.headers['retry-after']], [503, 'FST_IDEMPOTENCY_NOT_COMMITTED', '1'])
    t.same([await w.effects(), await w.records()], [[], []])
    t.match(await post(app, '/'), { statusCode: 201, payload: '{"name":"run 2"}' })
    t.same(await w.effects(), ['run 2'])
  })

  await t.test(`${kind}: a COMMIT that was not answered, with nobody to ask, is 503 and keeps the claim; the retry finds the record`, async (t) => {
    const { w, app, proxy, runs } = await proxied(t, kind)
    proxy.resetOn('down', (chunk) => {
      if (!isCommit(chunk)) return false
      proxy.refuse()
      return true
    })
    const answer = await post(app, '/')
    t.match([answer.statusCode, answer.json().code], [503, 'FST_IDEMPOTENCY_OUTCOME_UNKNOWN'])
    t.ok(['1', '2'].includes(String(answer.headers['retry-after'])), `Retry-After: ${answer.headers['retry-after']}`)
    proxy.heal()
    t.equal((await w.redis.keys(`${w.prefix}:????????????????*`)).length, 1, 'the claim lives on')
    const retry = await until('the retry is answered', async () => { const answer = await post(app, '/'); return answer.statusCode !== 409 && answer })
    t.match(retry, { statusCode: 201, payload: '{"name":"run 1"}', headers: { 'idempotent-replayed': 'true' } })
    t.same([await w.effects(), runs()], [['run 1'], 1])
  })

  await t.test(`${kind}: a connection that breaks before the commit leaves neither work nor record, and the retry runs`, async (t) => {
    const { w, proxy, own } = await proxied(t, kind)
    const app = await w.start(kind, {}, own)
    let broken = false
    addEffectRoute(app, async () => {
      if (broken) return
      broken = true
      proxy.resetAll()
    })
    t.equal((await post(app, '/')).statusCode, 500)
    await until('the server has noticed', async () => await openTransactions(w) === 0)
    t.same([await w.effects(), await w.records()], [[], []])
    t.equal((await post(app, '/')).statusCode, 201)
    t.same(await w.effects(), ['run 2'])
  })

  await t.test(`${kind}: a constraint that speaks up at the COMMIT is the handler's own error, and gives the key back`, async (t) => {
    const w = await world(t)
    await w.pool.query('ALTER TABLE effects ADD CONSTRAINT late UNIQUE (name) DEFERRABLE INITIALLY DEFERRED')
    const app = await w.start(kind)
    addEffectRoute(app)
    await w.pool.query("INSERT INTO effects (name) VALUES ('taken')")
    const request = (name: string) => post(app, '/', { headers: { 'idempotency-key': 'b' }, payload: { name } })
    t.match(await request('taken'), { statusCode: 500, payload: kind === 'pg' ? /late/ : /./ })
    t.same(await w.records(), [])
    t.equal((await request('free')).statusCode, 201)
  })
}

await t.test('a COMMIT that is late is waited for, not judged by what is there before it', async (t) => {
  const { w, app, proxy } = await proxied(t, 'pg', 3_000)
  let [backend, isStopped] = [0, false]
  const signal = (name: 'SIGSTOP' | 'SIGCONT'): void => {
    process.kill(backend, name)
    isStopped = name === 'SIGSTOP'
  }
  t.teardown(() => { if (isStopped) signal('SIGCONT') })
  app.post('/late', (request, reply) => reply.transaction(async (tx: pg.PoolClient) => {
    backend = (await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid ?? 0
    await insert(tx, 'late')
    return { status: 201, body: 'late' }
  }))
  proxy.resetOn('up', (chunk) => {
    if (isCommit(chunk)) signal('SIGSTOP') // it gets the COMMIT and does nothing
    return false
  })
  const answer = post(app, '/late')
  await until('the outcome is asked for', async () => (await w.pool.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")).rowCount !== 0)
  t.same(await w.records(), [])
  signal('SIGCONT')
  t.match(await answer, { statusCode: 201, payload: 'late' })
  t.same(await w.effects(), ['late'])
})

await t.test('a store that cannot be told of a commit changes nothing', async (t) => {
  const w = await world(t)
  const proxy = await faultProxy(t, `redis://${w.redis.options.host}:${w.redis.options.port}`)
  const { Redis } = await import('ioredis')
  const redis = new Redis(proxy.url, { lazyConnect: true })
  redis.on('error', () => {})
  t.teardown(() => { redis.disconnect() })
  const app = await w.start('pg', { store: { redis, postgres: w.pool } })
  addEffectRoute(app, async () => { proxy.resetAll(); proxy.refuse() })
  t.match(await post(app, '/'), { statusCode: 201, payload: '{"name":"run 1"}' })
  t.match(await post(app, '/'), { statusCode: 201, headers: { 'idempotent-replayed': 'true' } })
  t.same(await w.effects(), ['run 1'])
})
