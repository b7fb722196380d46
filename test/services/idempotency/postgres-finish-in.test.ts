import { PrismaPg } from '@prisma/adapter-pg'
import t from 'tap'
import { PrismaClient } from '../../../prisma/generated/client.js'
import type { Claim } from '../../../services/idempotency/record.js'
import { createPostgresStore, finishIn } from '../../../services/idempotency/stores/postgres.js'
import { testPool, until } from '../../helper.js'
import { again, newClaim, response } from './conformance.js'

const pool = await testPool(t)
const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
const done = (claim: Claim) => ({ claim, response: { ...response, body: 'done' }, age: 0 })
const isMirrored = async ({ id }: Claim): Promise<unknown> =>
  (await pool.query<{ mirrored: boolean }>('SELECT mirrored FROM idempotency_records WHERE id = $1', [Buffer.from(id, 'hex')])).rows[0]?.mirrored

await t.test('a record is finished in a transaction of pg, and is gone when that is rolled back', async (t) => {
  const store = createPostgresStore({ postgres: pool })
  const client = await pool.connect()
  t.teardown(() => { client.release() })
  const query = async (text: string, values: unknown[]): Promise<unknown[]> => (await client.query<object>(text, values)).rows
  const [kept, undone] = [newClaim(), newClaim()]
  await client.query('BEGIN')
  t.equal(await finishIn(query, done(undone)), true)
  await client.query('ROLLBACK')
  await client.query('BEGIN')
  t.equal(await finishIn(query, done(kept)), true)
  t.equal(await store.get(kept.id), null, 'nobody sees it before the commit')
  await client.query('COMMIT')
  t.match(await store.get(kept.id), { state: 'completed', token: kept.token, response: { status: 201, headers: response.headers, body: 'done' } })
  t.equal(await store.get(undone.id), null)
  t.equal(await finishIn(query, done(kept)), true, 'a repeat')
  t.equal(await finishIn(query, done(again(kept))), false, 'another attempt')
  t.equal(await isMirrored(kept), true, 'claims need not ask for it')
})

await t.test('a record is finished in a transaction of Prisma', async (t) => {
  const store = createPostgresStore({ postgres: prisma })
  const [kept, undone] = [newClaim(), newClaim()]
  const finish = async (claim: Claim, isUndone: boolean): Promise<void> => await prisma.$transaction(async (tx) => {
    t.equal(await finishIn(async (text, values) => await tx.$queryRawUnsafe(text, ...values), { claim, response: isUndone ? null : response, age: 1.5 }), true)
    if (isUndone) throw new Error('undone')
  })
  await finish(kept, false)
  await t.rejects(finish(undone, true), /undone/)
  t.match(await store.get(kept.id), { state: 'completed', token: kept.token })
  t.equal(await store.get(undone.id), null)
})

await t.test('of two transactions that finish one key the second waits for the end of the first, and is refused if that commits', async (t) => {
  const run = async (claim: Claim, end: 'COMMIT' | 'ROLLBACK') => {
    const client = await pool.connect()
    await client.query('BEGIN')
    const written = finishIn(async (text, values) => (await client.query<object>(text, values)).rows, done(claim))
    return { written, end: async () => { await client.query(end); client.release() } }
  }
  for (const [end, expected] of [['COMMIT', false], ['ROLLBACK', true]] as const) {
    const claim = newClaim()
    const first = await run(claim, end)
    t.equal(await first.written, true)
    const second = await run(again(claim), 'ROLLBACK')
    await until('the second waits for a lock', async () => (await pool.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")).rowCount)
    await first.end()
    t.equal(await second.written, expected)
    await second.end()
  }
})
