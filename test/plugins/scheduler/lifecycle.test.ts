import { PassThrough } from 'node:stream'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import lifecycle from '../../../plugins/lifecycle/index.js'
import scheduler from '../../../plugins/scheduler/index.js'
import { gate, testPool, testPrefix, testRedis, until } from '../../helper.js'
import { ledger } from './helper.js'

interface Line { msg: string, drain?: string, err?: { message: string } }

/** An application with the plugin holdfast/lifecycle, one job that waits until it is let go, and its log. */
async function withLifecycle (t: Test, closeTimeout = 3_000) {
  const postgres = await testPool(t)
  const stream = new PassThrough()
  let text = ''
  stream.on('data', (chunk: Buffer) => { text += chunk.toString() })
  const app: FastifyInstance = Fastify({ logger: { level: 'info', stream } })
  await app.register(lifecycle, { deadline: 5_000 })
  await app.register(scheduler, { redis: testRedis(t), postgres, prefix: testPrefix(), tick: 100, closeTimeout })
  const [begun, end] = [gate(), gate()]
  app.scheduler.define({ name: 'job' }, async ({ log }) => {
    log.child({ part: 1 }).info('working')
    begun.open()
    await end.opened
  })
  t.teardown(() => { end.open() })
  const logged = (message: string): Line[] => text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Line).filter(({ msg }) => msg === message)
  return { app, postgres, begun, end, logged }
}

await t.test('the start of the scheduler is a phase, and its stop a drain', async (t) => {
  const { app, postgres, begun, end, logged } = await withLifecycle(t)
  await app.ready()
  t.match((await app.lifecycle.report()).find(({ name }) => name === 'scheduler'), { state: 'ready', optional: false })
  await app.scheduler.trigger('job')
  await begun.opened
  const closed = app.close()
  end.open()
  await closed
  t.strictSame((await ledger(postgres, 'job')).map(({ state }) => state), ['done'])
  t.match(logged('working'), [{ plugin: 'scheduler', run: /^\d+$/, job: 'job', part: 1 }])
  t.strictSame(logged('drained').map(({ drain }) => drain), ['scheduler'])
})

await t.test('a run whose handler does not end makes the stop a forced one, and goes back', async (t) => {
  const { app, postgres, begun, end, logged } = await withLifecycle(t, 600)
  await app.ready()
  await app.scheduler.trigger('job')
  await begun.opened
  await app.close()
  t.match(logged('drain failed'), [{ drain: 'scheduler', err: { message: 'runs were still going on when the scheduler stopped' } }])
  end.open()
  await until('its late end is refused', () => logged('a run ended too late: another process has it').length === 1)
  t.strictSame((await ledger(postgres, 'job')).map(({ state }) => state), ['pending'])
})

await t.test('what makes the start of the scheduler fail fails the boot, and its phase says so', async (t) => {
  const { app, postgres } = await withLifecycle(t)
  await postgres.query('DROP TABLE scheduler_runs, schedules')
  await t.rejects(async () => { await app.ready() }, /schedules/)
  t.match(await app.lifecycle.report(), [{ name: 'scheduler', state: 'failed' }])
  await app.close()
})

await t.test('handlers begin when every plugin is ready, and end before any is closed', async (t) => {
  const { app, postgres, begun, end } = await withLifecycle(t)
  const events: string[] = []
  await postgres.query("INSERT INTO scheduler_runs (name, kind, tick, state, due_at) VALUES ('job', 'enqueued', now(), 'pending', now())")
  begun.opened.then(() => events.push('begun'), t.error)
  /** Long enough for a wrong order to show, ms. */
  const given = async (event: string): Promise<void> => { await until(event, () => events.includes(event), 1_000).catch(() => {}) }
  await app.register(async (later) => {
    later.addHook('onReady', async () => {
      await given('begun')
      events.push('ready')
    })
    later.addHook('onClose', async () => { events.push('closed') })
  })
  await app.ready()
  await begun.opened
  const closed = app.close()
  await given('closed')
  events.push('ended')
  end.open()
  await closed
  t.strictSame(events, ['ready', 'begun', 'ended', 'closed'])
  t.strictSame((await ledger(postgres, 'job')).map(({ state }) => state), ['done'])
})
