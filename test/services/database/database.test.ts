import { PrismaPg } from '@prisma/adapter-pg'
import t from 'tap'
import { PrismaClient } from '../../../prisma/generated/client.js'
import { createDatabase } from '../../../services/database/index.js'
import { createPool } from '../../../services/database/pool.js'
import type { Log } from '../../../services/log.js'
import { silentLog } from '../../../services/log.js'
import { testDatabase, until } from '../../helper.js'
import { ownPostgres } from '../../own-servers.js'

await t.test('concurrent callers share one attempt to connect, which waits for a server that is not up yet', async (t) => {
  const postgres = await ownPostgres(t)
  await postgres.kill()
  let attempts = 0
  const log: Log = { ...silentLog, warn: () => { attempts++ } }
  const database = createDatabase({ url: postgres.url, log })
  t.teardown(() => database.close())
  const connected = Promise.all([database.connect(), database.connect(), database.connect()])
  await until('it has been tried', () => attempts > 1)
  await postgres.start()
  await connected
  t.equal((await database.pg.query('SELECT 1 AS one')).rows[0].one, 1)
})

await t.test('the wait ends at the deadline with a sentence, and a later call tries again', async (t) => {
  const postgres = await ownPostgres(t)
  await postgres.kill()
  const database = createDatabase({ url: postgres.url, deadline: 300, log: silentLog })
  t.teardown(() => database.close())
  await t.rejects(database.connect(), { message: 'cannot connect to the database: no answer within 300 ms' })
  await postgres.start()
  await database.connect()
})

await t.test('an unknown database and a wrong password fail at once, are named and are not tried again', async (t) => {
  const url = new URL(await testDatabase(t))
  const cases: Array<[Partial<URL>, string]> = [[{ pathname: '/no_such_database' }, 'the database does not exist'], [{ password: 'wrong' }, 'the password is wrong']]
  for (const [change, reason] of cases) {
    let retries = 0
    const database = createDatabase({ url: Object.assign(new URL(url), change).href, log: { ...silentLog, warn: () => { retries++ } } })
    const [first, second] = [database.connect(), database.connect()]
    await t.rejects(first, { message: `cannot connect to the database: ${reason}` })
    t.equal(first, second)
    t.equal(database.connect(), first, 'a permanent failure is kept')
    t.equal(retries, 0)
    await database.close()
  }
})

await t.test('closing ends the wait', async (t) => {
  const postgres = await ownPostgres(t)
  await postgres.kill()
  const database = createDatabase({ url: postgres.url, log: silentLog })
  const connecting = database.connect()
  await database.close()
  await t.rejects(connecting, { message: 'the database was closed' })
})

await t.test('a killed backend is logged, ends no process, and the pool goes on', async (t) => {
  const warnings: unknown[] = []
  const database = createDatabase({ url: await testDatabase(t), poolSize: 4, log: { ...silentLog, warn: (fields) => { warnings.push(fields) } } })
  t.teardown(() => database.close())
  for (let round = 0; round < 20; round++) {
    const client = await database.pg.connect()
    const { rows: [row] } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    if (round % 2 === 0) client.release() // idle in the pool when it dies, else checked out
    const seen = warnings.length
    await database.pg.query('SELECT pg_terminate_backend($1) WHERE $1 <> pg_backend_pid()', [row?.pid]).catch(() => {})
    if (round % 2 === 1) {
      await until('the client hears of it', () => warnings.length > seen)
      client.release()
    }
  }
  t.equal(await database.prisma.user.count(), 0)
})

await t.test('a transaction of Prisma whose ROLLBACK was not answered is not handed to the next query', async (t) => {
  const url = await testDatabase(t)
  const pool = createPool({ url, size: 1, queryTimeout: 300, log: silentLog })
  t.teardown(() => pool.end())
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
  await pool.query('CREATE TABLE written (name text)')
  const other = createPool({ url, size: 1, log: silentLog })
  t.teardown(() => other.end())
  await other.query('SELECT pg_advisory_lock(1)')
  await t.rejects(prisma.$transaction(async (tx) => { await tx.$executeRawUnsafe("INSERT INTO written VALUES ('undone') RETURNING pg_advisory_xact_lock(1)") }))
  await other.query('SELECT pg_advisory_unlock(1)')
  await until('its statement has ended', async () => (await other.query("SELECT FROM pg_stat_activity WHERE query LIKE '%pg_advisory_xact_lock(1)' AND state = 'active' AND pid <> pg_backend_pid()")).rowCount === 0)
  await pool.query("INSERT INTO written VALUES ('kept')")
  t.same((await other.query('SELECT name FROM written')).rows, [{ name: 'kept' }])
})

await t.test('Prisma and pg share one pool', async (t) => {
  const database = createDatabase({ url: await testDatabase(t), poolSize: 1, log: silentLog })
  t.teardown(() => database.close())
  const { rows: [row] } = await database.pg.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  t.strictSame(await database.prisma.$queryRaw`SELECT pg_backend_pid() AS pid`, [{ pid: row?.pid }])
})
