import pg from 'pg'
import t from 'tap'
import { testPool } from '../../../helper.js'
import { inTransaction, lockCount, openBackend, taken, urlOf } from './helper.js'
import { startPgbouncer } from './pgbouncer.js'
import { tryInTransaction } from '../../../../services/locks/postgres/transaction.js'

await t.test('session locks refuse a PgBouncer in transaction mode and name the option; locks of transactions go through it', async (t) => {
  const pool = await testPool(t)
  const url = await startPgbouncer(t, urlOf(pool), 'transaction')
  if (url === null) return
  const backend = openBackend(t, pool, { connection: { connectionString: url } })
  await t.rejects(backend.open(), { code: 'FST_LOCKS_USAGE', message: /set the option `directUrl` to Postgres itself/ })
  await t.rejects(taken(backend, 'one'), { code: 'FST_LOCKS_USAGE' })
  t.equal(await lockCount(pool), 0)
  const bounced = new pg.Pool({ connectionString: url })
  await inTransaction(bounced, async (query) => {
    t.match(await tryInTransaction(query, 'one'), { name: 'one' })
    await inTransaction(bounced, async (other) => { t.equal(await tryInTransaction(other, 'one'), null) })
  })
  await inTransaction(bounced, async (query) => { t.match(await tryInTransaction(query, 'one'), { name: 'one' }) })
  await bounced.end()
})

await t.test('in session mode a PgBouncer is as good as Postgres', async (t) => {
  const pool = await testPool(t)
  const url = await startPgbouncer(t, urlOf(pool), 'session')
  if (url === null) return
  const backend = openBackend(t, pool, { connection: { connectionString: url } })
  t.equal(await (await taken(backend, 'one')).release(), true)
})
