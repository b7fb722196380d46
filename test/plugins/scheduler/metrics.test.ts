import type { Pool } from 'pg'
import { Registry } from 'prom-client'
import t from 'tap'
import type { Test } from 'tap'
import type { Run, SchedulerOptions } from '../../../plugins/scheduler/index.js'
import { gate, until } from '../../helper.js'
import { shown } from '../idempotency/measured.js'
import { cluster, ledger, untilRun } from './helper.js'

/** Makes the next tick of all schedules one of so many seconds ago. */
const setBack = async (postgres: Pool, seconds: number): Promise<void> => { await postgres.query("UPDATE schedules SET next_at = now() - $1 * interval '1 s', not_before = NULL", [seconds]) }

async function measured (t: Test, options: Partial<SchedulerOptions> = {}) {
  const [registry, { postgres, app: create }] = [new Registry(), await cluster(t)]
  return { registry, postgres, create, app: await create({ metrics: registry, lease: 1_000, ...options }) }
}

/** A run of a tick of 5 s ago, which has failed so many times in `app` and is to be interrupted by its stop. `other` would do it at once. */
async function interrupted (t: Test, failures: number) {
  const { app, registry, postgres, create } = await measured(t)
  const other = await create({ metrics: registry })
  const begun = gate()
  const schedule = { name: 'job', every: 3_600_000, startDelay: 60_000 }
  app.scheduler.define({ ...schedule, retries: failures, backoff: { minDelay: 1, maxDelay: 1 }, interruptible: true }, async ({ attempt, signal }) => {
    if (attempt <= failures) throw new Error('again')
    begun.open()
    await until('it is told to end', () => signal.aborted)
    signal.throwIfAborted()
  })
  other.scheduler.define(schedule, () => {})
  await app.ready()
  await setBack(postgres, 5)
  await begun.opened
  return { app, other, registry, postgres }
}

await t.test('each start of a run is counted by its result, and timed', async (t) => {
  const { app, registry, postgres } = await measured(t)
  const begun = new Set<string>()
  const ended = gate()
  const untilAbort = async ({ name, signal }: Run): Promise<void> => {
    begun.add(name)
    await until('it is told to end', () => signal.aborted)
    signal.throwIfAborted()
  }
  const jobs: Record<string, (run: Run) => unknown> = {
    good: () => {},
    bad: () => { throw new Error('no') },
    cancelled: untilAbort,
    interrupted: untilAbort,
    lost: async () => {
      begun.add('lost')
      await ended.opened
    }
  }
  for (const [name, handler] of Object.entries(jobs)) app.scheduler.define({ name, retries: 1, backoff: { minDelay: 1, maxDelay: 1 }, interruptible: true }, handler)
  await app.ready()
  for (const name of Object.keys(jobs)) await app.scheduler.trigger(name)
  await until('those that wait have begun', () => begun.size === 3)
  await postgres.query("UPDATE scheduler_runs SET cancel_requested = true WHERE name = 'cancelled'")
  await postgres.query("UPDATE scheduler_runs SET fence = nextval('scheduler_fences'), lease_until = now() + interval '1 h' WHERE name = 'lost'")
  ended.open()
  for (const [name, state] of [['good', 'done'], ['bad', 'dead'], ['cancelled', 'cancelled']] as const) await untilRun(postgres, name, state)
  await app.close()
  const of = (schedule: string, result: string): string => `{schedule="${schedule}",result="${result}"}`
  t.same(await shown(registry, 'scheduler_runs_total'), {
    [of('good', 'done')]: 1,
    [of('bad', 'retry')]: 1,
    [of('bad', 'dead')]: 1,
    [of('cancelled', 'cancelled')]: 1,
    [of('lost', 'lost')]: 1,
    [of('interrupted', 'interrupted')]: 1
  })
  t.same(await shown(registry, 'scheduler_run_duration_seconds_count'), {
    '{schedule="good"}': 1, '{schedule="bad"}': 2, '{schedule="cancelled"}': 1, '{schedule="lost"}': 1, '{schedule="interrupted"}': 1
  })
})

await t.test('ticks that are skipped because another run has not ended are counted', async (t) => {
  const { app, registry, postgres } = await measured(t)
  const [begun, ended] = [gate(), gate()]
  app.scheduler.define({ name: 'job', every: 60_000, startDelay: 60_000 }, async () => {
    begun.open()
    await ended.opened
  })
  await app.ready()
  await app.scheduler.trigger('job')
  await begun.opened
  await setBack(postgres, 1)
  await untilRun(postgres, 'job', 'skipped')
  const total = () => shown(registry, 'scheduler_runs_total')
  await until('it is counted', async () => (await total())['{schedule="job",result="skipped"}'] === 1)
  t.same(await total(), { '{schedule="job",result="skipped"}': 1 })
  ended.open()
})

await t.test('the duration is that of the handler; a run that was never started has none', async (t) => {
  const { app, registry, postgres } = await measured(t)
  app.scheduler.define({ name: 'job', maxStarts: 1 }, () => {
    const end = performance.now() + 60
    while (performance.now() < end);
  })
  await app.ready()
  await app.scheduler.trigger('job')
  await untilRun(postgres, 'job', 'done')
  await postgres.query("INSERT INTO scheduler_runs (name, kind, tick, state, due_at, starts) VALUES ('job', 'manual', now(), 'pending', now(), 1)")
  await untilRun(postgres, 'job', 'dead')
  await until('it is counted', async () => (await shown(registry, 'scheduler_runs_total'))['{schedule="job",result="dead"}'] === 1)
  const seconds = (await shown(registry, 'scheduler_run_duration_seconds_sum'))['{schedule="job"}'] ?? 0
  t.ok(seconds >= 0.06 && seconds < 5, `${seconds} s`)
  const buckets = await shown(registry, 'scheduler_run_duration_seconds_bucket')
  t.same([buckets['{le="0.05",schedule="job"}'], buckets['{le="3600",schedule="job"}'], buckets['{le="+Inf",schedule="job"}']], [undefined, 1, 1])
})

await t.test('the lag is from the nominal instant of a tick to its first start, not to its repetitions, nor to runs that were asked for', async (t) => {
  const { app, other, registry, postgres } = await interrupted(t, 1)
  const lag = async (): Promise<number> => (await shown(registry, 'scheduler_lag_seconds_sum'))['{schedule="job"}'] ?? 0
  const first = await lag()
  t.ok(first >= 5 && first < 10, `${first} s`)
  await app.close()
  await other.ready()
  await untilRun(postgres, 'job', 'done')
  await other.scheduler.trigger('job')
  await until('both have ended', async () => (await ledger(postgres, 'job')).filter(({ state }) => state === 'done').length === 2)
  t.equal(await lag(), first)
  t.same(await shown(registry, 'scheduler_lag_seconds_count'), { '{schedule="job"}': 1 })
})

await t.test('an interrupted first start and the next one are one lag', async (t) => {
  const { app, other, registry, postgres } = await interrupted(t, 0)
  await app.close()
  await other.ready()
  await untilRun(postgres, 'job', 'done')
  t.same(await shown(registry, 'scheduler_lag_seconds_count'), { '{schedule="job"}': 1 })
})

await t.test('ticks that were missed are counted, and no owner of a schedule is a label', async (t) => {
  const { app, registry, postgres } = await measured(t)
  app.scheduler.define({ name: 'job', every: 60_000, startDelay: 60_000, catchUp: { policy: 'none' } }, () => {})
  app.scheduler.define({ name: 'digest' }, () => {})
  await app.ready()
  for (const owner of ['ann', 'bob']) await app.scheduler.forOwner(owner).upsert({ name: 'digest', every: 60_000, catchUp: { policy: 'none' } })
  await until('the users\' schedules have ticked', async () => (await ledger(postgres, 'digest')).filter(({ state }) => state === 'done').length === 2)
  await setBack(postgres, 10 * 60 + 30) // 11 ticks, all of them too late
  await until('they are recorded', async () => (await ledger(postgres, 'job')).length === 11 && (await ledger(postgres, 'digest')).length === 24)
  t.same(await shown(registry, 'scheduler_missed_total'), { '{schedule="job"}': 11, '{schedule="digest"}': 22 })
  await app.close()
  t.same(await shown(registry, 'scheduler_runs_total'), { '{schedule="digest",result="done"}': 2 })
  t.notMatch(await registry.metrics(), /ann|bob/)
})
