import { PrismaPg } from '@prisma/adapter-pg'
import type { PoolClient } from 'pg'
import t from 'tap'
import { PrismaClient } from '../../../prisma/generated/client.js'
import type { Transaction } from '../../../services/database/query.js'
import { enqueue } from '../../../services/scheduler/enqueue.js'
import type { EnqueueRequest } from '../../../services/scheduler/enqueue.js'
import { testPool, until } from '../../helper.js'
import { begin, isOneWaiting } from './schedules.js'

const pool = await testPool(t)
const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
t.beforeEach(async () => { await pool.query('TRUNCATE scheduler_runs') })

type InTransaction = <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>

const byPg = async <T>(work: (tx: PoolClient) => Promise<T>, how = 'BEGIN'): Promise<T> => {
  const client = await pool.connect()
  try {
    await client.query(how)
    const value = await work(client)
    await client.query('COMMIT')
    return value
  } finally {
    await client.query('ROLLBACK')
    client.release()
  }
}
const clients: Array<[string, InTransaction]> = [['pg', byPg], ['Prisma', async (work) => await prisma.$transaction(async (tx) => await work(tx))]]

async function rows (): Promise<unknown[]> {
  return (await pool.query(`SELECT id::text, name, owner, kind, state, payload, request_id AS "requestId", schedule_id AS schedule, starts, due_at AS "dueAt", due_at = tick AS "isDue",
    tick BETWEEN now() - interval '1 min' AND now() AS "isNow" FROM scheduler_runs ORDER BY id`)).rows
}

for (const [client, inTransaction] of clients) {
  await t.test(`${client}: committed it is one pending run, due at once or when asked`, async (t) => {
    const dueAt = new Date(Date.now() + 60_000)
    const payload = { to: "o'neill", list: [1, null], text: '"\\ü€😀' }
    const first = await inTransaction((tx) => enqueue(tx, { name: 'mail', payload }))
    const later = await inTransaction((tx) => enqueue(tx, { name: 'mail', dueAt, requestId: 'one' }))
    const common = { name: 'mail', owner: '', kind: 'enqueued', state: 'pending', schedule: null, starts: 0, isNow: true }
    const [one, two, ...more] = await rows()
    t.match(one, { ...common, id: first.id, payload, requestId: null, isDue: true })
    t.match(two, { ...common, id: later.id, payload: null, requestId: 'one', dueAt })
    t.strictSame([first.isNew, later.isNew, more], [true, true, []])
  })

  await t.test(`${client}: rolled back it never was`, async (t) => {
    await t.rejects(inTransaction(async (tx) => {
      await enqueue(tx, { name: 'mail', requestId: 'one' })
      throw new Error('changed my mind')
    }), { message: 'changed my mind' })
    t.strictSame(await rows(), [])
  })

  await t.test(`${client}: a request id is one run, and each call without one is another`, async (t) => {
    const first = await inTransaction((tx) => enqueue(tx, { name: 'mail', requestId: 'one' }))
    t.strictSame(await inTransaction((tx) => enqueue(tx, { name: 'mail', requestId: 'one', payload: 2 })), { id: first.id, isNew: false })
    await inTransaction(async (tx) => {
      const [, second] = [await enqueue(tx, { name: 'mail' }), await enqueue(tx, { name: 'mail', requestId: 'two' })]
      t.strictSame(await enqueue(tx, { name: 'mail', requestId: 'two' }), { id: second.id, isNew: false })
    })
    t.match(await rows(), [{ requestId: 'one', payload: null }, { requestId: null }, { requestId: 'two' }])
    t.equal((await rows()).length, 3)
  })

  await t.test(`${client}: a request id at the same time waits for the other's end: one row when it commits, its own when it rolls back`, { timeout: 20_000 }, async (t) => {
    for (const end of ['COMMIT', 'ROLLBACK']) {
      const other = await begin(t, pool)
      const first = await enqueue(other, { name: 'mail', requestId: end })
      const second = inTransaction((tx) => enqueue(tx, { name: 'mail', requestId: end }))
      await until('the second one waits', () => isOneWaiting(pool))
      await other.query(end)
      const { id, isNew } = await second
      t.strictSame([isNew, id === first.id], end === 'COMMIT' ? [false, true] : [true, false])
    }
    t.equal((await rows()).length, 2)
  })
}

await t.test('many at once with one request id are one row, of one id', async (t) => {
  const all = await Promise.all(Array.from({ length: 10 }, () => clients).flat().map(async ([, inTransaction]) => await inTransaction((tx) => enqueue(tx, { name: 'mail', requestId: 'one' }))))
  t.equal(new Set(all.map(({ id }) => id)).size, 1)
  t.equal(all.filter(({ isNew }) => isNew).length, 1)
  t.equal((await rows()).length, 1)
})

await t.test('who enqueues it again does not lock the run: it can begin', { timeout: 10_000 }, async (t) => {
  const { id } = await byPg((tx) => enqueue(tx, { name: 'mail', requestId: 'one' }))
  await byPg(async (tx) => {
    await enqueue(tx, { name: 'mail', requestId: 'one' })
    t.equal((await pool.query("UPDATE scheduler_runs SET state = 'enqueued' WHERE id = (SELECT id FROM scheduler_runs WHERE id = $1 FOR UPDATE SKIP LOCKED)", [id])).rowCount, 1)
  })
})

await t.test('a request id of something else is refused', async (t) => {
  await byPg((tx) => enqueue(tx, { name: 'mail', requestId: 'one' }))
  await pool.query("INSERT INTO scheduler_runs (name, kind, tick, state, due_at, request_id) VALUES ('mail', 'manual', now(), 'done', now(), 'by hand')")
  const refused = { code: 'FST_SCHEDULER_REQUEST_ID_REUSED', statusCode: 422 }
  await t.rejects(byPg((tx) => enqueue(tx, { name: 'report', requestId: 'one' })), refused)
  await t.rejects(byPg((tx) => enqueue(tx, { name: 'mail', requestId: 'by hand' })), refused)
  t.equal((await rows()).length, 2)
})

await t.test('under REPEATABLE READ a run that was just committed fails the transaction instead of being overlooked', async (t) => {
  await t.rejects(byPg(async (tx) => {
    await tx.query('SELECT 1')
    await byPg((other) => enqueue(other, { name: 'mail', requestId: 'one' }))
    await enqueue(tx, { name: 'mail', requestId: 'one' })
  }, 'BEGIN ISOLATION LEVEL REPEATABLE READ'), { code: '40001' })
  t.equal((await rows()).length, 1)
})

await t.test('without a transaction nothing is written', async (t) => {
  const client = await begin(t, pool)
  await client.query('COMMIT')
  for (const tx of [pool, client, prisma, null]) {
    await t.rejects(enqueue(tx as unknown as Transaction, { name: 'mail' }), { code: 'FST_SCHEDULER_NO_TRANSACTION' })
  }
  t.strictSame(await rows(), [])
})

await t.test('a wrong option is told before anything is written, and leaves the transaction good', async (t) => {
  const wrong: Array<[object, RegExp]> = [
    [{ requestId: '' }, /`requestId` must be a string of 1 to 255 characters/],
    [{ requestId: 'a\0b' }, /`requestId` must be/],
    [{ dueAt: new Date('soon') }, /`dueAt` must be a valid Date/],
    [{ dueAt: 'soon' }, /`dueAt` must be a valid Date, got 'soon'/],
    [{ delay: 1 }, /`delay` is not known/],
    [{ payload: { text: 'a\0b' } }, /`payload` must be JSON/],
    [{ payload: () => 1 }, /`payload` must be JSON/]
  ]
  await byPg(async (tx) => {
    for (const [options, message] of wrong) await t.rejects(enqueue(tx, { name: 'mail', ...options } as EnqueueRequest), { code: 'FST_SCHEDULER_OPTION_INVALID', message })
    await enqueue(tx, { name: 'mail' })
  })
  t.equal((await rows()).length, 1)
})
