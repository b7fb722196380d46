import { once } from 'node:events'
import t from 'tap'
import { queryOf } from '../../../../services/database/query.js'
import { assertFenced, nextToken } from '../../../../services/locks/postgres/fencing.js'
import { tryInTransaction } from '../../../../services/locks/postgres/transaction.js'
import { testPool } from '../../../helper.js'
import { inTransaction, lockSessions, openBackend, openLocks, taken } from './helper.js'

await t.test('tokens grow with every grant: of sessions, of transactions, and those that are drawn alone', async (t) => {
  const pool = await testPool(t)
  const backend = openBackend(t, pool)
  const tokens: Array<bigint | null | undefined> = []
  for (let round = 0; round < 3; round++) {
    const hold = await taken(backend, 'one')
    await hold.release()
    tokens.push(hold.token, await nextToken(queryOf(pool)))
    await inTransaction(pool, async (query) => { tokens.push((await tryInTransaction(query, 'one', { fencing: true }))?.token) })
  }
  t.strictSame(tokens, [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n])
})

await t.test('who does not get the lock draws no token', async (t) => {
  const pool = await testPool(t)
  const hold = await taken(openBackend(t, pool), 'one')
  const other = openBackend(t, pool)
  for (let count = 0; count < 3; count++) await other.attempt(['one'], Infinity)
  t.equal(hold.token, 1n)
  t.equal((await taken(other, 'two')).token, 2n)
})

await t.test('the late write of a holder that lost its lock changes no row', async (t) => {
  const pool = await testPool(t)
  await pool.query("CREATE TABLE documents AS SELECT 1 AS id, 'empty' AS body, 0::bigint AS fence")
  const write = async (body: string, token: bigint | null): Promise<number | null> =>
    (await pool.query('UPDATE documents SET body = $1, fence = $2 WHERE id = 1 AND fence <= $2', [body, token])).rowCount
  const [paused, next] = [openLocks(t, pool), openLocks(t, pool)]
  const late = paused.withLock('document', async (grant) => {
    const { token, signal, assertHeld } = grant
    await Promise.all([once(signal, 'abort'), pool.query('SELECT pg_terminate_backend($1)', await lockSessions(pool))])
    await next.withLock('document', async ({ token }) => { t.equal(await write('next', token), 1) })
    t.throws(assertHeld, { code: 'FST_LOCKS_LOST' })
    assertFenced(await write('late', token), grant) // of one who did not look
  })
  await t.rejects(late, { code: 'FST_LOCKS_LOST', names: ['document'] })
  t.match((await pool.query('SELECT body FROM documents')).rows, [{ body: 'next' }])
})
