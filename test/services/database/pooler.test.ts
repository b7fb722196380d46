import t from 'tap'
import { createDatabase } from '../../../services/database/index.js'
import { silentLog as log } from '../../../services/log.js'
import { openPool, testDatabase } from '../../helper.js'
import { startPgbouncer } from '../locks/postgres/pgbouncer.js'

await t.test('behind a pooler in transaction mode migrations have a session of their own', async (t) => {
  const directUrl = await testDatabase(t, 'template0')
  const url = await startPgbouncer(t, directUrl, 'transaction')
  if (url === null) return
  const names = await Promise.all(Array.from({ length: 4 }, async () => {
    const database = createDatabase({ url, directUrl, log })
    try {
      return await database.migrate()
    } finally {
      await database.close()
    }
  }))
  t.equal(names.filter(({ length }) => length > 0).length, 1, 'one of them did it')
  const { rows } = await openPool(t, directUrl, 1).query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
  t.equal(rows.length, 0)
})
