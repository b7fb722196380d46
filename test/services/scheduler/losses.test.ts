import t from 'tap'
import type { Run } from '../../../services/scheduler/run.js'
import { gate, until } from '../../helper.js'
import { insertRun, insertSchedule, reach, runOf, setUp } from './helper.js'

await t.test('a progress that is no number spoils the lease of no run', async (t) => {
  const { pool, node } = await setUp(t)
  const end = gate()
  const told: unknown[] = [undefined, 'much', NaN, -1, 1e300, {}, '7']
  const handler = async ({ payload, progress }: Run): Promise<void> => {
    if (payload !== null) progress(told[payload as number] as number, told[payload as number] as number)
    await end.opened
  }
  await node({ jobs: { job: { handler } }, executor: { lease: 300 } })
  const ids = await Promise.all([null, ...told.keys()].map((payload) => insertRun(pool, { payload })))
  const last = ids.at(-1) ?? ''
  for (const id of ids) await reach(pool, id, 'running')
  await until('a heartbeat has written the progress', async () => (await runOf(pool, last)).progress === 7)
  await until('the first lease is past for all', async () => (await pool.query("SELECT FROM scheduler_runs WHERE started_at > now() - interval '600 ms'")).rowCount === 0)
  end.open()
  for (const id of ids) t.match(await reach(pool, id, 'done'), { starts: 1, failures: 0 })
  t.strictSame((await Promise.all(ids.map((id) => runOf(pool, id)))).map(({ progress }) => progress), [null, 0, 0, 0, 0, 2_147_483_647, 0, 7])
})

await t.test('a run whose lease is lost, and which nobody has taken, has not failed: it runs again', async (t) => {
  const { pool, node } = await setUp(t)
  const reasons: unknown[] = []
  const { executor, relay } = await node({
    jobs: {
      job: {
        retries: 0,
        handler: async ({ signal, attempt }) => {
          if (attempt > 1) return
          await new Promise<void>((resolve) => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
          reasons.push(signal.reason)
          throw new Error('ended early')
        }
      }
    },
    executor: { lease: 300 },
    ticker: { onTick: async () => {} }
  })
  const id = await insertRun(pool)
  await until('it is handed over', async () => {
    await relay.relay(1)
    return executor.running() === 1
  })
  const end = performance.now() + 500
  while (performance.now() < end); // the process is blocked for longer than its lease
  await until('it has run again', async () => {
    await relay.relay(1) // the heartbeat may have locked the row when it was woken to
    return (await runOf(pool, id)).state === 'done'
  })
  t.match(await runOf(pool, id), { starts: 2, failures: 0 })
  t.match(reasons, [{ code: 'FST_SCHEDULER_RUN_LOST' }])
})

await t.test('a run whose job nobody has is offered ever more rarely, said in the log, and dead at last', async (t) => {
  const { pool, node } = await setUp(t)
  const warned: object[] = []
  const log = { debug () {}, info () {}, warn: (fields: object, message: string) => { if (message.includes('no handler')) warned.push(fields) }, error () {} }
  await node({ jobs: {}, executor: { unknownDelay: 200 }, log })
  const schedule = await insertSchedule(pool)
  const id = await insertRun(pool, { schedule })
  const next = await insertRun(pool, { schedule, state: 'waiting' })
  await until('it was offered four times', async () => (await runOf(pool, id)).enqueues >= 4)
  t.strictSame(warned, [{ run: id, job: 'job' }], 'one line a minute')
  await pool.query("UPDATE scheduler_runs SET enqueues = 94, state = 'pending', due_at = now() WHERE id = $1", [id])
  const { dueIn } = await until('it was given back after the next one', async () => {
    const row = await runOf(pool, id)
    return row.enqueues === 95 && row.state === 'pending' && row
  })
  t.ok(dueIn > 1_000 && dueIn <= 2_000, `${dueIn}: ten times as long`)
  await pool.query("UPDATE scheduler_runs SET enqueues = 604, starts = 600, state = 'pending', due_at = now() WHERE id = $1", [id])
  await until('it is not dead for its many repetitions', async () => {
    const row = await runOf(pool, id)
    return row.enqueues === 605 && row.state === 'pending'
  })
  await pool.query("UPDATE scheduler_runs SET enqueues = 599, starts = 0, state = 'pending', due_at = now() WHERE id = $1", [id])
  t.match(await reach(pool, id, 'dead'), { starts: 0, failures: 0, error: 'it was offered 600 times, and no process had a handler for it' })
  await until('it holds nobody back any more', async () => (await runOf(pool, next)).enqueues > 0)
})
