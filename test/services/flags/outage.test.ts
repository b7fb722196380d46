import t from 'tap'
import { createDatabase } from '../../../services/database/index.js'
import { silentLog } from '../../../services/log.js'
import { testPool, until } from '../../helper.js'
import { ownPostgres } from '../../own-servers.js'
import { keptLog, startFlag } from './helper.js'

await t.test('while Postgres is gone the last value holds and one line says so; then changes arrive again', async (t) => {
  const server = await ownPostgres(t)
  const database = createDatabase({ url: server.url, log: silentLog })
  t.teardown(() => database.close())
  const { log, lines } = keptLog()
  const flag = await startFlag(t, database.pg, { log, pollEvery: 10 })
  const other = await startFlag(t, database.pg)
  await flag.set({ enabled: false }, 'me')
  const warnings = (): typeof lines => lines.filter(({ level }) => level === 'warn')

  for (const outage of [1, 2]) {
    await server.kill()
    await until('a reading has failed', () => warnings().length === outage)
    for (let readings = 0; readings < 3; readings++) t.equal((await flag.refresh()).enabled, false)
    await t.rejects(flag.set({ enabled: true }, 'me'), 'a change that cannot be stored is not made')
    t.equal(flag.current().enabled, false)
    t.equal(warnings().length, outage)

    await server.start()
    await until('the flag can be read', () => lines.filter(({ message }) => message.endsWith('can be read again')).length === outage)
    await until('the other one can write', () => other.set({ percent: outage }, 'me').catch(() => null))
    await until('the change arrives', () => flag.current().percent === outage, 1_000)
  }
})

await t.test('a reading that gets no answer is given up, and the next one finds the change', async (t) => {
  const pool = await testPool(t)
  const { log, lines } = keptLog()
  const flag = await startFlag(t, pool, { log })
  const client = await pool.connect()
  await client.query('BEGIN')
  await client.query('LOCK TABLE feature_flags IN ACCESS EXCLUSIVE MODE') // every reading hangs now
  await until('a reading was given up', () => lines.some(({ level }) => level === 'warn'), 3_000)
  t.equal(flag.current().enabled, true)
  await client.query('INSERT INTO feature_flags (name, enabled, percent, revision, updated_by) VALUES (\'test\', false, 50, 1, \'me\')')
  await client.query('COMMIT')
  client.release()
  await until('the change arrives', () => !flag.current().enabled, 1_000)
})

await t.test('without a first reading it does not start: what was switched off might be on', async (t) => {
  const pool = await testPool(t)
  await pool.query('DROP TABLE feature_flags')
  await t.rejects(startFlag(t, pool), { code: '42P01' })
})
