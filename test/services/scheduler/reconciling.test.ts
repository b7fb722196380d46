import { test } from 'tap'
import { silentLog } from '../../../services/log.js'
import { createReconciling } from '../../../services/scheduler/reconciling.js'
import { testPool } from '../../helper.js'

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
