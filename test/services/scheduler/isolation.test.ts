import pg from 'pg'
import t from 'tap'
import { createControl } from '../../../services/scheduler/control.js'
import { testDatabase } from '../../helper.js'
import { addSchedule } from './schedules.js'

await t.test('over a Postgres whose transactions are repeatable read by default the overlap policy holds for triggers at once', async (t) => {
  const pool = new pg.Pool({ connectionString: await testDatabase(t), max: 8, options: '-c default_transaction_isolation=repeatable\\ read' })
  t.teardown(() => pool.end())
  const { trigger } = createControl({ pool, next: () => null })
  await Promise.all(Array.from({ length: 8 }, () => pool.query('SELECT pg_sleep(0.05)'))) // all connections are there
  for (let index = 0; index < 10; index++) {
    await addSchedule(pool, { name: `job-${index}` })
    const states = await Promise.all([1, 2, 3].map(async () => (await trigger(`job-${index}`))?.state))
    t.strictSame(states.toSorted(), ['pending', 'skipped', 'skipped'])
  }
})
