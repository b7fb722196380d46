import t from 'tap'
import { gate, until } from '../../helper.js'
import { cluster, ledger, untilRun } from './helper.js'

await t.test('each tick of a schedule runs once over three processes', async (t) => {
  const { postgres, app } = await cluster(t)
  const apps = await Promise.all([1, 2, 3].map(() => app()))
  const ran: string[] = []
  for (const { scheduler } of apps) {
    scheduler.define({ name: 'tick', every: 1_000, overlap: 'allow' }, ({ scheduledFor }) => { ran.push(scheduledFor.toISOString()) })
  }
  await Promise.all(apps.map((app) => app.ready()))
  await until('three ticks ran', () => ran.length >= 3)
  await Promise.all(apps.map((app) => app.close()))
  const ticks = ran.toSorted().map((tick) => Date.parse(tick))
  t.strictSame(ticks.map((tick) => tick - (ticks[0] ?? 0)), ticks.map((_, index) => index * 1_000), 'one after the other, none twice')
  t.strictSame((await ledger(postgres, 'tick')).map(({ state }) => state), ticks.map(() => 'done'))
})

await t.test('what was enqueued in a transaction runs once it is committed, and never was when it is rolled back', async (t) => {
  const { postgres, app: create } = await cluster(t)
  const app = await create()
  const ran: unknown[] = []
  app.scheduler.define({ name: 'mail' }, ({ payload }) => { ran.push(payload) })
  await app.ready()
  const client = await postgres.connect()
  for (const [end, payload] of [['ROLLBACK', 'rolled back'], ['COMMIT', 'committed']] as const) {
    await client.query('BEGIN')
    await app.scheduler.enqueue(client, 'mail', payload)
    await client.query(end)
  }
  client.release()
  await untilRun(postgres, 'mail', 'done')
  t.strictSame(ran, ['committed'])
  t.equal((await ledger(postgres, 'mail')).length, 1)
})

await t.test('a payload that does not fit is refused when it is enqueued or triggered, and its run is dead when it was written past that', async (t) => {
  const { postgres, app: create } = await cluster(t)
  const app = await create()
  app.scheduler.define({ name: 'typed', schema: { type: 'object', required: ['to'] } }, () => { t.fail('it ran') })
  await app.ready()
  const client = await postgres.connect()
  await client.query('BEGIN')
  await t.rejects(app.scheduler.enqueue(client, 'typed', {}), { code: 'FST_SCHEDULER_PAYLOAD_INVALID', statusCode: 400 })
  await t.rejects(app.scheduler.enqueue(client, 'unknown', {}), { code: 'FST_SCHEDULER_UNKNOWN_JOB' })
  await t.rejects(app.scheduler.trigger('typed'), { code: 'FST_SCHEDULER_PAYLOAD_INVALID' }, 'nor can it run with what it has of itself')
  await client.query('ROLLBACK')
  client.release()
  await postgres.query("INSERT INTO scheduler_runs (name, kind, tick, state, payload, due_at) VALUES ('typed', 'enqueued', now(), 'pending', '{}', now())")
  t.match((await untilRun(postgres, 'typed', 'dead')).error, /does not fit the schema/)
})

await t.test('a paused schedule does not tick until it is resumed; a trigger runs all the same', async (t) => {
  const { postgres, app: create } = await cluster(t)
  const app = await create()
  app.scheduler.define({ name: 'job', every: 1_000, startDelay: 60_000 }, () => {})
  await app.ready()
  await app.scheduler.pause('job', 'the provider is down', { by: 'ops' })
  await postgres.query("UPDATE schedules SET next_at = now() - interval '1 second', not_before = NULL")
  for (const count of [1, 2]) {
    t.match(await app.scheduler.trigger('job'), { state: 'pending', isNew: true })
    await until('it ran', async () => (await ledger(postgres, 'job')).filter(({ state }) => state === 'done').length >= count)
  }
  t.strictSame((await app.scheduler.runs('job')).map(({ kind }) => kind), ['manual', 'manual'], 'between them the cluster has looked for ticks')
  t.match(await app.scheduler.list(), [{ name: 'job', pause: { reason: 'the provider is down', by: 'ops' }, lastRun: { kind: 'manual' } }])
  await app.scheduler.resume('job')
  await until('a tick ran', async () => (await app.scheduler.runs('job')).some(({ kind, state }) => kind === 'tick' && state === 'done'))
  t.equal(await app.scheduler.trigger('unknown'), null)
})

await t.test('a user has a schedule of his own', async (t) => {
  const { postgres, app: create } = await cluster(t)
  const app = await create()
  const ran: unknown[] = []
  app.scheduler.define({ name: 'digest' }, ({ owner, payload }) => { ran.push([owner, payload]) })
  await app.ready()
  const schedules = app.scheduler.forOwner('user-1')
  t.ok(await schedules.upsert({ name: 'digest', every: 1_000, payload: { theme: 'dark' } }))
  await untilRun(postgres, 'digest', 'done')
  t.ok(await schedules.remove('digest'))
  t.strictSame(ran[0], ['user-1', { theme: 'dark' }])
  t.strictSame(await schedules.list(), [])
})

await t.test('a process of the role web ticks and runs nothing', async (t) => {
  const { postgres, app: create } = await cluster(t)
  const [web, worker] = [await create({ roles: ['web'] }), await create()]
  const ran: string[] = []
  for (const [name, app] of Object.entries({ web, worker })) app.scheduler.define({ name: 'job' }, () => { ran.push(name) })
  await web.ready()
  await web.scheduler.trigger('job')
  await worker.ready()
  await untilRun(postgres, 'job', 'done')
  t.strictSame(ran, ['worker'])
})

await t.test('a close waits for the run in progress, and begins no other', async (t) => {
  const { postgres, app: create } = await cluster(t)
  const app = await create()
  const [begun, end] = [gate(), gate()]
  app.scheduler.define({ name: 'job', overlap: 'allow' }, async () => {
    begun.open()
    await end.opened
  })
  await app.ready()
  await app.scheduler.trigger('job')
  await begun.opened
  const closed = app.close()
  await app.scheduler.trigger('job')
  end.open()
  await closed
  t.strictSame((await ledger(postgres, 'job')).map(({ state }) => state), ['done', 'pending'])
})
