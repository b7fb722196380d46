import { PrismaPg } from '@prisma/adapter-pg'
import t from 'tap'
import type { Test } from 'tap'
import { PrismaClient } from '../../../prisma/generated/client.js'
import type { PgLike } from '../../../services/database/query.js'
import type { Claim, StoredResponse } from '../../../services/idempotency/record.js'
import { createPostgresStore } from '../../../services/idempotency/stores/postgres.js'
import type { PostgresStore } from '../../../services/idempotency/stores/postgres.js'
import * as sql from '../../../services/idempotency/stores/postgres-sql.js'
import { testPool, until } from '../../helper.js'
import { again, newClaim, response } from './conformance.js'

const pool = await testPool(t)
const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
t.beforeEach(async () => { await pool.query('TRUNCATE idempotency_records') })

const otherFingerprint = '22'.repeat(32)
const done = (claim: Claim, body = 'done') => ({ claim, response: { ...response, body }, age: 0 })
const leaseIsPast = async (store: PostgresStore, { id }: Claim): Promise<void> => {
  await until('the lease is past', async () => {
    const record = await store.get(id)
    return record?.state === 'running' && record.leaseLeft === 0
  })
}
const isMirrored = async ({ id }: Claim): Promise<unknown> =>
  (await pool.query<{ mirrored: boolean }>('SELECT mirrored FROM idempotency_records WHERE id = $1', [Buffer.from(id, 'hex')])).rows[0]?.mirrored

const over = async (promise: string, body: (t: Test, store: PostgresStore) => Promise<void>): Promise<void> => {
  await t.test(`pg: ${promise}`, async (t) => { await body(t, createPostgresStore({ postgres: pool })) })
  await t.test(`Prisma: ${promise}`, async (t) => { await body(t, createPostgresStore({ postgres: prisma })) })
}

await over('finished records are written without their claims, with every byte, and the response as text where it is text', async (t, store) => {
  const bodies = ['{"a":"\\n\\"\\\\ü€😀"}', '', 'NUL \u0000 inside', '\uFEFFbom', Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256))]
  const claims = bodies.map(() => newClaim())
  t.same(await store.finish(claims.map((claim, index) => ({ claim, response: { ...response, body: bodies[index] ?? '' }, age: 0 })), 'redis'), bodies.map(() => true))
  for (const [index, claim] of claims.entries()) {
    const found = await store.claim(again(claim))
    t.match(found, { state: 'completed', token: claim.token, fingerprint: claim.fingerprint, response: { status: 201 } })
    if (found.state !== 'completed') continue
    t.strictSame(found.response.headers, response.headers)
    t.equal(typeof found.response.body, typeof bodies[index])
    t.ok(Buffer.from(found.response.body).equals(Buffer.from(bodies[index] ?? '')), `body ${index}`)
  }
})

await over('headers are written with every character', async (t, store) => {
  const headers: Array<StoredResponse['headers']> = [{}, { link: ['<a,b>; title="\\\\ {x}"', "NULL, 'q'"], etag: 'W/"\\"' }, { 'x-tab': '\t\u0001\u2028ü€😀\u007f', 'x-null': 'NULL' }]
  const claims = headers.map(() => newClaim())
  await store.finish(claims.map((claim, index) => ({ claim, response: { ...response, headers: headers[index] ?? {} }, age: 0 })), 'redis')
  for (const [index, { id }] of claims.entries()) t.strictSame((await store.get(id) as { response?: StoredResponse } | null)?.response?.headers, headers[index])
})

await over('a tombstone is written without its claim', async (t, store) => {
  const claim = newClaim()
  t.same(await store.finish([{ claim, response: null, age: 0 }], 'postgres'), [true])
  t.match(await store.claim(again(claim)), { state: 'tombstone', token: claim.token })
})

await over('to finish is refused where another attempt finished the key, holds its lease, or it belongs to another fingerprint', async (t, store) => {
  const [finished, live, past, foreign, free] = [newClaim(), newClaim(), newClaim({ lease: 1 }), newClaim({ lease: 1 }), newClaim()]
  await store.finish([done(finished)], 'redis')
  await store.hold([live, past, foreign])
  await leaseIsPast(store, foreign)
  const others = [again(finished), again(live), again(past), again(foreign, { fingerprint: otherFingerprint }), free]
  t.same(await store.finish(others.map((claim) => done(claim)), 'postgres'), [false, false, true, false, true])
  t.match(await store.get(finished.id), { token: finished.token })
  t.match(await store.get(live.id), { state: 'running', token: live.token })
})

await over('to finish again with the same token succeeds, because the reply may have been lost', async (t, store) => {
  const claim = newClaim()
  await store.finish([done(claim)], 'redis')
  t.same(await store.finish([done(claim)], 'redis'), [true])
  t.equal(await store.complete(claim, response), true)
})

await over('what was claimed here is finished in a batch', async (t, store) => {
  const claim = newClaim()
  await store.claim(claim)
  t.same(await store.finish([done(claim)], 'postgres'), [true])
  t.match(await store.get(claim.id), { state: 'completed', token: claim.token })
})

await over('an expired record is replaced, by another fingerprint too', async (t, store) => {
  const [first, second] = [newClaim(), newClaim()]
  await store.finish([{ ...done(first), age: first.retention }, { ...done(second), age: second.retention }], 'redis')
  t.equal(await store.get(first.id), null)
  t.same(await store.finish([done(again(first, { fingerprint: otherFingerprint }))], 'redis'), [true])
  t.same(await store.hold([again(second, { fingerprint: otherFingerprint })]), [true])
  t.match(await store.get(second.id), { state: 'running', fingerprint: otherFingerprint })
})

await over('retention begins when the record was finished, not when it is written', async (t, store) => {
  const claim = newClaim({ retention: 120_000 })
  await store.finish([{ ...done(claim), age: 100_000 }], 'redis')
  const lifetime = await store.lifetime('all')
  t.ok(lifetime > 15_000 && lifetime <= 20_000, `${lifetime}`)
})

await over('claims made elsewhere are held: made, extended or taken over, never against another attempt', async (t, store) => {
  const [fresh, own, live, past, finished, ownFinished] = [newClaim(), newClaim({ lease: 50 }), newClaim(), newClaim({ lease: 1 }), newClaim(), newClaim()]
  await store.hold([own, live, past])
  await store.finish([done(finished), done(ownFinished)], 'redis')
  await leaseIsPast(store, past)
  const claims = [fresh, { ...own, lease: 60_000 }, again(live), again(past), again(finished), ownFinished]
  t.same(await store.hold(claims), [true, true, false, true, false, false])
  const seen = await store.get(own.id)
  t.ok(seen?.state === 'running' && seen.leaseLeft > 50_000)
  t.match(await store.claim(again(fresh)), { state: 'running', token: fresh.token })
  t.match(await store.get(ownFinished.id), { state: 'completed' })
})

await over('a key that is twice in a batch is written once: the last wins', async (t, store) => {
  const first = newClaim()
  const second = again(first)
  t.same(await store.finish([done(first, 'first'), done(newClaim()), done(second, 'second')], 'redis'), [false, true, true])
  t.match(await store.get(first.id), { token: second.token, response: { body: 'second' } })
  t.same(await store.finish([done(second), done(second, 'repeated')], 'redis'), [true, true])
  const third = newClaim()
  t.same(await store.hold([third, again(third), third]), [true, false, true])
  t.same(await store.extend([third, third]), [true, true])
})

await over('lifetime tells decided records from mirrored ones', async (t, store) => {
  t.equal(await store.lifetime('all'), 0)
  await store.finish([done(newClaim({ retention: 90_000 }))], 'redis')
  t.equal(await store.lifetime('decided'), 0)
  t.ok(await store.lifetime('all') > 80_000)
  await store.finish([done(newClaim({ retention: 30_000 }))], 'postgres')
  const decided = await store.lifetime('decided')
  t.ok(decided > 20_000 && decided <= 30_000.5, `${decided}`) // the column rounds to whole ms, also upwards
})

await over('a mirrored record that is claimed anew counts as decided here', async (t, store) => {
  const [claimed, held] = [newClaim(), newClaim()]
  await store.finish([claimed, held].map((claim) => ({ ...done(claim), age: claim.retention })), 'redis')
  t.same([await isMirrored(claimed), await isMirrored(held)], [true, true])
  t.match(await store.claim(again(claimed)), { state: 'claimed' })
  t.same(await store.hold([again(held)]), [true])
  t.same([await isMirrored(claimed), await isMirrored(held)], [false, false])
})

await t.test('a batch of any size is one statement, an empty one none', async (t) => {
  let statements = 0
  const counting: PgLike = { query: (text, values) => { statements++; return pool.query(text, values) } }
  const store = createPostgresStore({ postgres: counting })
  const claims = Array.from({ length: 1_000 }, () => newClaim())
  for (const write of [() => store.hold(claims), () => store.extend(claims), () => store.finish(claims.map((claim) => done(claim)), 'redis')]) {
    statements = 0
    t.same(new Set(await write()), new Set([true]))
    t.equal(statements, 1)
  }
  statements = 0
  t.same([await store.finish([], 'redis'), await store.hold([]), await store.extend([])], [[], [], []])
  t.equal(statements, 0)
})

await t.test('batches of many processes with the same keys in different order do not deadlock', async (t) => {
  const store = createPostgresStore({ postgres: pool })
  const claims = Array.from({ length: 300 }, () => newClaim())
  await store.hold(claims)
  const shuffled = (): Claim[] => claims.map((claim) => ({ claim, at: Math.random() })).sort((a, b) => a.at - b.at).map(({ claim }) => claim)
  await t.resolves(Promise.all(Array.from({ length: 60 }, (_, index) => index % 2 === 0 ? store.extend(shuffled()) : store.hold(shuffled()))))
  await t.resolves(Promise.all(Array.from({ length: 30 }, () => store.finish(shuffled().map((claim) => done(claim)), 'redis'))))
})

await t.test('what Postgres decided is found by a look-up in its own index, whatever was mirrored', async (t) => {
  await pool.query(`INSERT INTO idempotency_records (id, token, fingerprint, state, lease_until, expires_at, mirrored)
    SELECT sha256(n::text::bytea), 't', 'f', 'tombstone', now(), now() + n * interval '1 s', n % 1000 > 0 FROM generate_series(1, 20000) AS n`)
  await pool.query('VACUUM ANALYZE idempotency_records')
  const { rows } = await pool.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${sql.lifetime.decided}`)
  t.match(rows.map((row) => row['QUERY PLAN']).join('\n'), /Index Only Scan Backward using idempotency_records_decided_expires_at_idx/)
})
