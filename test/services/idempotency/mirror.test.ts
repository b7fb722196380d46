import { PrismaPg } from '@prisma/adapter-pg'
import t from 'tap'
import { PrismaClient } from '../../../prisma/generated/client.js'
import { createMirror } from '../../../services/idempotency/stores/mirror.js'
import { createPostgresStore } from '../../../services/idempotency/stores/postgres.js'
import { silentLog as log } from '../../../services/log.js'
import { testPool, until } from '../../helper.js'
import { again, newClaim, response } from './conformance.js'
import { claims, recorded, watched } from './mirrored.js'

const pool = await testPool(t)
const postgres = createPostgresStore({ postgres: pool })

await t.test('a completion is on its way to Postgres within 50 ms by itself, as a mirrored record', async (t) => {
  const { seen, finish } = watched(postgres)
  const lags: number[] = []
  const mirror = createMirror({ postgres: { finish }, log, onFlush: (lag) => { lags.push(lag) } })
  t.teardown(() => mirror.close())
  const claim = newClaim()
  mirror.add(claim, response)
  await new Promise((resolve) => setTimeout(resolve, 50)) // the 50 ms are the subject; timers of one loop fire in order, however busy the machine is
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
  const { seen, finish } = watched(postgres)
  const mirror = createMirror({ postgres: { finish }, log, maxBatch: 500 })
  for (const claim of claims(1_200)) mirror.add(claim, response)
  await mirror.flush()
  t.same(seen.sizes, [500, 500, 200])
  await mirror.close()
})

await t.test('one statement is under way at a time, and the next batch gathers meanwhile', async (t) => {
  const { seen, finish } = watched(postgres)
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
  const { seen, finish } = watched(postgres)
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
  const { seen, finish } = watched(postgres)
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
  const { seen, finish } = watched(postgres)
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

function deferred (): { promise: Promise<void>, resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((_resolve) => { resolve = _resolve })
  return { promise, resolve }
}
