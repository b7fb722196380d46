import { test } from 'tap'
import type { PoolClientLike, PoolLike } from '../../../services/database/transact.js'
import { createPool } from '../../../services/database/pool.js'
import { silentLog } from '../../../services/log.js'
import { createClaiming } from '../../../services/scheduler/claiming.js'
import { gate, testPool } from '../../helper.js'
import { addDue, statesOf } from './rows.js'

const hour = 3_600_000

/** A pool of one connection; calls `before` with it once the runs are written, before the commit. */
function stopping (url: string, before: (ask: PoolClientLike['query']) => Promise<unknown>): PoolLike & { end: () => Promise<void> } {
  const pool = createPool({ url, size: 1, log: silentLog })
  return {
    query: (text, values) => pool.query(text, values),
    end: () => pool.end(),
    async connect () {
      const client = await pool.connect()
      const ask = client.query.bind(client) as PoolClientLike['query']
      return Object.assign(client as PoolClientLike, {
        async query (text: string, values?: unknown[]) {
          if (text === 'COMMIT') await before(ask)
          return await ask(text, values)
        }
      })
    }
  }
}

await test('While one is stopped in the middle others claim what is left, and its session is ended in time', async (t) => {
  const pool = await testPool(t)
  await addDue(pool, [{ name: 'first', every: hour }], 3_000)
  const [stopped, goOn] = [gate(), gate()]
  let limit: unknown
  const frozen = stopping(String(pool.options.connectionString), async (ask) => {
    limit = (await ask('SHOW idle_in_transaction_session_timeout')).rows[0]
    stopped.open()
    await goOn.opened
  })
  t.teardown(() => frozen.end())
  const claim = createClaiming({ pool: frozen }).claim(10)
  await stopped.opened
  await addDue(pool, [{ name: 'second', every: hour }], 1_000)
  t.equal(await createClaiming({ pool }).claim(10), 1)
  t.same([await statesOf(pool, 'first'), await statesOf(pool, 'second')], [[], ['pending']])
  t.same(limit, { idle_in_transaction_session_timeout: '10s' })
  goOn.open()
  t.equal(await claim, 1)
  t.same(await statesOf(pool, 'first'), ['pending'])
})
