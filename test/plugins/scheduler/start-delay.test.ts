import Fastify from 'fastify'
import type { Pool } from 'pg'
import t from 'tap'
import lifecycle from '../../../plugins/lifecycle/index.js'
import scheduler from '../../../plugins/scheduler/index.js'
import { gate, testPool, testPrefix, testRedis, until } from '../../helper.js'

const startDelay = 5_000

/** ms since the epoch, by the clock of the database. */
const clock = async (postgres: Pool): Promise<number> => (await postgres.query<{ now: Date }>('SELECT clock_timestamp() AS now')).rows[0]?.now.getTime() ?? 0

await t.test('the start delay counts from when the application is ready, not from when its process began, and holds for a tick that is overdue', async (t) => {
  const [postgres, redis, prefix] = [await testPool(t), testRedis(t), testPrefix()]
  for (const column of ['next_at', 'not_before'] as const) {
    const [app, opened] = [Fastify(), gate()]
    t.teardown(() => app.close())
    await app.register(lifecycle)
    await app.register(scheduler, { redis, postgres, prefix, tick: 100 })
    app.scheduler.define({ name: 'job', every: 3_600_000, startDelay }, () => { t.fail('it ran') })
    const phase = app.lifecycle.phase('slow', () => opened.opened)
    const ready = app.ready()
    const defined = await clock(postgres)
    const unready = await until('time has passed', async () => { const now = await clock(postgres); return now > defined + 200 && now })
    opened.open()
    await Promise.all([phase, ready])
    const { rows: [row] } = await postgres.query<Record<typeof column, Date>>(`SELECT ${column} FROM schedules`)
    const [at, now] = [row?.[column].getTime() ?? 0, await clock(postgres)]
    t.ok(at >= unready + startDelay && at <= now + startDelay, `${column} is ${at - unready} ms after the last phase of the start`)
    await postgres.query("UPDATE schedules SET next_at = now() - interval '1 hour'") // the process was down meanwhile
    await app.close()
  }
})
