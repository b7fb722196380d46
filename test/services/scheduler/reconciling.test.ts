import { test } from 'tap'
import { silentLog } from '../../../services/log.js'
import { toDefinition } from '../../../services/scheduler/definition.js'
import { createReconciling } from '../../../services/scheduler/reconciling.js'
import { testPool, until } from '../../helper.js'
import { scheduleOf } from './rows.js'
import { addSchedule, begin, isOneWaiting } from './schedules.js'

const minute = 60_000

for (const [ahead, expected] of [[minute, -minute], [-minute, minute], [0, null]] as const) {
  await test(`A process whose clock is ${ahead} ms ahead of the database ${expected === null ? 'says nothing' : 'says so'}`, async (t) => {
    const skews: unknown[] = []
    const warn = (fields: object): void => { if ('skew' in fields) skews.push(fields.skew) }
    const reconciling = createReconciling({ pool: await testPool(t), log: { ...silentLog, warn }, definitions: () => [] })
    t.teardown(() => reconciling.stop())
    const now = Date.now.bind(Date)
    t.intercept(Date, 'now', { value: () => now() + ahead })
    await reconciling.start()
    t.equal(skews.length, expected === null ? 0 : 1)
    if (expected !== null) t.ok(Math.abs(Number(skews[0]) - expected) < 2_000, `it says ${String(skews[0])}`)
  })
}

await test('A deadlock with somebody who locks schedules in another order fails no boot', async (t) => {
  const pool = await testPool(t)
  for (const name of ['a', 'b']) await addSchedule(pool, { name })
  const lock = 'SELECT FROM schedules WHERE name = $1 FOR UPDATE'
  const other = await begin(t, pool)
  await other.query(lock, ['b'])
  const reconciling = createReconciling({ pool, log: silentLog, definitions: () => ['a', 'b'].map((name) => toDefinition({ name, every: 3_600_000 })) })
  t.teardown(() => reconciling.stop())
  const started = reconciling.start()
  await until('it waits for b', () => isOneWaiting(pool))
  await other.query(lock, ['a']) // Postgres ends the one that has waited for a second
  await started
  t.equal((await scheduleOf(pool, 'a')).every_ms, 60_000, 'it could not be declared yet')
  await other.query('COMMIT')
  await until('it is declared', async () => (await scheduleOf(pool, 'a')).every_ms === 3_600_000)
})
