import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import t from 'tap'
import { PrismaClient } from '../../../prisma/generated/client.js'
import { createPool } from '../../../services/database/pool.js'
import { migrate } from '../../../services/database/migrate.js'
import { createMirror } from '../../../services/idempotency/stores/mirror.js'
import { createPostgresStore } from '../../../services/idempotency/stores/postgres.js'
import type { PgLike, PostgresStore } from '../../../services/idempotency/stores/postgres.js'
import { silentLog } from '../../../services/log.js'
import type { Log } from '../../../services/log.js'
import { packageRoot } from '../../../services/package-root.js'
import { testPool, until } from '../../helper.js'
import { ownPostgres } from '../../own-servers.js'
import { again, newClaim, response } from './conformance.js'

const pool = await testPool(t)
const postgres = createPostgresStore({ postgres: pool })
const log = silentLog

/** A store that counts, and that can be held up or made to fail. */
function watched (store: Pick<PostgresStore, 'finish'> = postgres) {
  const seen = { sizes: [] as number[], underWay: 0, most: 0, error: null as Error | null, gate: Promise.resolve() }
  const finish: PostgresStore['finish'] = async (records, origin) => {
    seen.sizes.push(records.length)
    seen.most = Math.max(seen.most, ++seen.underWay)
    try {
      await seen.gate
      if (seen.error !== null) throw seen.error
      return await store.finish(records, origin)
    } finally {
      seen.underWay--
    }
  }
  return { seen, finish }
}

function recorded (): { lines: Array<{ level: string, message: string, fields: object }>, log: Log } {
  const lines: Array<{ level: string, message: string, fields: object }> = []
  const at = (level: string) => (fields: object, message: string): void => { lines.push({ level, message, fields }) }
  return { lines, log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } }
}

const claims = (count: number) => Array.from({ length: count }, () => newClaim())

await t.test('a completion is on its way to Postgres within 50 ms by itself, as a mirrored record', async (t) => {
  const { seen, finish } = watched()
  const lags: number[] = []
  const mirror = createMirror({ postgres: { finish }, log, onFlush: (lag) => { lags.push(lag) } })
  t.teardown(() => mirror.close())
  const claim = newClaim()
  mirror.add(claim, response)
  await new Promise((resolve) => setTimeout(resolve, 50)) // the same loop's timers fire in order, however busy the machine is
  t.same(seen.sizes, [1])
  await until('it is in Postgres', () => postgres.get(claim.id))
  await until('the lag is told', () => lags.length === 1)
  t.ok(lags.every((lag) => lag >= 0.02 && lag < 10), `${lags} s`)
  t.equal(await postgres.lifetime('decided'), 0)
})

await t.test('a tombstone is mirrored', async (t) => {
  const mirror = createMirror({ postgres, log })
  const claim = newClaim()
  mirror.add(claim, null)
  await mirror.close()
  t.match(await postgres.get(claim.id), { state: 'tombstone', token: claim.token })
})

await t.test('what is added together is one statement, and a batch has its limit', async (t) => {
  const { seen, finish } = watched()
  const mirror = createMirror({ postgres: { finish }, log, maxBatch: 500 })
  for (const claim of claims(1_200)) mirror.add(claim, response)
  await mirror.flush()
  t.same(seen.sizes, [500, 500, 200])
  await mirror.close()
})

await t.test('one statement is under way at a time, and the next batch gathers meanwhile', async (t) => {
  const { seen, finish } = watched()
  const mirror = createMirror({ postgres: { finish }, log })
  const { promise, resolve } = deferred()
  seen.gate = promise
  mirror.add(newClaim(), response)
  await until('the first is under way', () => seen.underWay === 1)
  for (const claim of claims(300)) mirror.add(claim, response)
  const flushed = mirror.flush()
  t.equal(mirror.stats().queued, 301)
  resolve()
  await flushed
  t.same(seen.sizes, [1, 300])
  t.equal(seen.most, 1)
  t.equal(mirror.stats().queued, 0)
  await mirror.close()
})

await t.test('flush resolves when what was queued at its call is written, and does not wait for what comes later', async (t) => {
  const { seen, finish } = watched()
  const mirror = createMirror({ postgres: { finish }, log, flushEvery: 60_000, maxBatch: 2 })
  const [first, second] = [newClaim(), newClaim()]
  mirror.add(first, response)
  await mirror.flush()
  t.match(await postgres.get(first.id), { state: 'completed' })
  await mirror.flush()
  t.equal(seen.sizes.length, 1)
  const { promise, resolve } = deferred()
  seen.gate = promise
  mirror.add(second, response)
  const flushed = mirror.flush()
  await until('the second is under way', () => seen.underWay === 1)
  mirror.add(newClaim(), response)
  resolve()
  await flushed
  t.match(await postgres.get(second.id), { state: 'completed' })
  await mirror.close()
})

await t.test('of two completions of a key the last is written', async (t) => {
  const mirror = createMirror({ postgres, log })
  const claim = newClaim()
  const last = again(claim)
  mirror.add(claim, response)
  mirror.add(last, { ...response, body: 'last' })
  t.equal(mirror.stats().queued, 1)
  await mirror.close()
  t.match(await postgres.get(claim.id), { token: last.token, response: { body: 'last' } })
})

await t.test('a newer completion of a key that comes while the batch fails is the one that is kept', async (t) => {
  const { seen, finish } = watched()
  const mirror = createMirror({ postgres: { finish }, log })
  const claim = newClaim()
  const { promise, resolve } = deferred()
  seen.gate = promise
  seen.error = new Error('it fails')
  mirror.add(claim, { ...response, body: 'first' })
  await until('the first is under way', () => seen.underWay === 1)
  mirror.add(claim, { ...response, body: 'last' })
  resolve()
  await until('it has failed', () => seen.underWay === 0)
  seen.error = null
  await mirror.close()
  t.match(await postgres.get(claim.id), { response: { body: 'last' } })
})

await t.test('beyond the limit the oldest are dropped, counted, and told once an episode', async (t) => {
  const { seen, finish } = watched()
  const { lines, log } = recorded()
  const mirror = createMirror({ postgres: { finish }, log, maxQueued: 100 })
  for (const episode of [1, 2]) {
    seen.error = new Error('Postgres is down')
    const added = claims(250)
    for (const claim of added) mirror.add(claim, response)
    await until('it was tried', () => lines.some(({ level }) => level === 'warn'))
    t.match(mirror.stats(), { queued: 100, dropped: 150 * episode })
    t.ok(mirror.stats().lag >= 0)
    seen.error = null
    await mirror.flush()
    t.equal((await Promise.all(added.map(({ id }) => postgres.get(id)))).findIndex((record) => record !== null), 150, 'the last hundred are there')
    t.equal(lines.filter(({ message }) => message.startsWith('too many completions')).length, episode)
    t.match(lines.at(-1), { level: 'warn', fields: { dropped: 150 } })
  }
  await mirror.close()
})

await t.test('large bodies are bounded by their bytes', async (t) => {
  const { seen, finish } = watched({ finish: async (records) => records.map(() => true) }) // 64 MB are no work for a shared machine
  const mirror = createMirror({ postgres: { finish }, log })
  seen.error = new Error('Postgres is down')
  const body = 'x'.repeat(1024 * 1024)
  for (const claim of claims(70)) mirror.add(claim, { ...response, body })
  await until('it was tried', () => seen.sizes.length > 0)
  t.match(mirror.stats(), { queued: 64, dropped: 6 })
  t.equal(seen.sizes[0], 4)
  seen.error = null
  await mirror.close()
  t.equal(mirror.stats().queued, 0)
})

await t.test('a completion that Postgres cannot hold keeps no others back', async (t) => {
  for (const store of [postgres, createPostgresStore({ postgres: new PrismaClient({ adapter: new PrismaPg(pool) }) })]) {
    const { lines, log } = recorded()
    const mirror = createMirror({ postgres: store, log })
    const good = claims(9)
    for (const [index, claim] of good.entries()) {
      if (index === 4) mirror.add(newClaim(), { ...response, headers: { location: 'a\u0000b' } })
      mirror.add(claim, response)
    }
    await mirror.close()
    t.equal((await Promise.all(good.map(({ id }) => postgres.get(id)))).filter((record) => record?.state === 'completed').length, 9)
    t.match(lines, [{ level: 'error', message: /cannot hold it/ }])
  }
})

await t.test('that Postgres knows another attempt is told', async (t) => {
  const { lines, log } = recorded()
  const mirror = createMirror({ postgres, log })
  const claim = newClaim()
  await postgres.claim(claim)
  mirror.add(again(claim), response)
  await mirror.close()
  t.match(lines, [{ level: 'warn', fields: { refused: 1 } }])
  t.match(await postgres.get(claim.id), { state: 'running', token: claim.token })
})

await t.test('a callback that throws stops nothing', async (t) => {
  const { lines, log } = recorded()
  const mirror = createMirror({ postgres, log, onFlush: () => { throw new Error('a bad callback') } })
  const [first, second] = [newClaim(), newClaim()]
  mirror.add(first, response)
  await mirror.flush()
  mirror.add(second, response)
  await mirror.close()
  t.match(await postgres.get(second.id), { state: 'completed' })
  t.match(lines, [{ level: 'error' }, { level: 'error' }])
})

await t.test('what was finished while Postgres was killed is there when it is back', async (t) => {
  const server = await ownPostgres(t)
  await migrate({ url: server.url, directory: `${packageRoot()}/prisma/migrations`, log, deadline: 30_000 })
  const own = createPool({ url: server.url, size: 2, log })
  t.teardown(() => own.end())
  const store = createPostgresStore({ postgres: own })
  const { lines, log: lineLog } = recorded()
  const mirror = createMirror({ postgres: store, log: lineLog })
  const [before, during] = [newClaim(), claims(100)]
  mirror.add(before, response)
  await mirror.flush()
  await server.kill()
  for (const claim of during) mirror.add(claim, response)
  await until('it was tried', () => lines.length > 0)
  t.equal(mirror.stats().queued, 100)
  await server.start()
  await mirror.flush()
  t.equal((await Promise.all([before, ...during].map(({ id }) => store.get(id)))).filter((record) => record?.state === 'completed').length, 101)
  t.match(lines.map(({ level }) => level), ['warn', 'info'], 'one line when it begins, one when it is over')
  await mirror.close()
})

await t.test('close gives up after its deadline, tells how many are lost, and lets waiting flushes go', async (t) => {
  const { seen, finish } = watched()
  const { lines, log } = recorded()
  const mirror = createMirror({ postgres: { finish }, log })
  seen.error = new Error('Postgres is down')
  for (const claim of claims(7)) mirror.add(claim, response)
  const start = performance.now()
  await Promise.all([mirror.close(), mirror.flush()])
  const took = performance.now() - start
  t.ok(took > 4_900 && took < 6_000, `${took} ms`)
  t.match(lines.at(-1), { level: 'error', fields: { lost: 7 } })
  mirror.add(newClaim(), response)
  t.match(mirror.stats(), { queued: 7, dropped: 1 })
})

await t.test('a hanging Postgres does not hold close beyond its deadline', async (t) => {
  const { lines, log } = recorded()
  const mirror = createMirror({ postgres: { finish: () => new Promise(() => {}) }, log })
  mirror.add(newClaim(), response)
  await mirror.close()
  t.match(lines, [{ level: 'error', fields: { lost: 1 } }])
})

await t.test('a batch of 500 is one statement of Postgres and costs Node little', async (t) => {
  let statements = 0
  const single = new pg.Pool({ ...pool.options, max: 1 })
  t.teardown(() => single.end())
  const counting: PgLike = { query: (text, values) => { statements++; return single.query(text, values) } }
  const mirror = createMirror({ postgres: createPostgresStore({ postgres: counting }), log })
  const warm = claims(5_000)
  for (const claim of warm) mirror.add(claim, response)
  await mirror.flush()
  const measured = claims(10_000)
  statements = 0
  const start = process.cpuUsage()
  for (const claim of measured) mirror.add(claim, response)
  await mirror.flush()
  const { user, system } = process.cpuUsage(start)
  t.equal(statements, 20)
  const each = (user + system) / measured.length
  t.comment(`${each.toFixed(1)} µs of Node a record`)
  t.ok(each < 60, `${each} µs, twice the target for the noise of a busy machine`)
  await mirror.close()
})

function deferred (): { promise: Promise<void>, resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((_resolve) => { resolve = _resolve })
  return { promise, resolve }
}
