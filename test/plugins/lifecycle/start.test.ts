import Fastify from 'fastify'
import t from 'tap'
import health from '../../../plugins/health/index.js'
import lifecycle from '../../../plugins/lifecycle/index.js'
import { build } from './helper.js'

await t.test('a required phase that fails fails the start, awaited or not', async (t) => {
  const app = await build(t)
  const ran: string[] = []
  const phases = [
    app.lifecycle.phase('database', () => { throw new Error('no database') }),
    app.lifecycle.phase('migrations', () => { ran.push('migrations') }, { after: ['database'] }),
    app.lifecycle.phase('redis', () => { ran.push('redis') })
  ]
  await t.rejects(async () => await app.ready(), { message: 'no database' })
  t.equal(phases.length, 3)
  t.strictSame(ran, ['redis'])
})

await t.test('in a scope of the application its phases run with the start', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const ran: string[] = []
  app.register(async (scope) => {
    await scope.register(lifecycle, { signals: false })
    await scope.lifecycle.phase('database', () => { ran.push('database') })
  })
  await app.ready()
  t.strictSame(ran, ['database'])
})

await t.test('a phase that waits for one that nobody declares fails the start', async (t) => {
  const app = await build(t)
  const phase = app.lifecycle.phase('locks', () => {}, { after: ['databse'] })
  t.throws(() => app.lifecycle.onDrain('mail', undefined as unknown as () => void), { code: 'FST_LIFECYCLE_USAGE', message: 'the drain `mail` must be a function, got `undefined` (undefined)' })
  await t.rejects(async () => await app.ready(), { code: 'FST_LIFECYCLE_USAGE', message: 'the phase `locks` waits for `databse`, which nobody has declared: there are locks' })
  await app.close()
  await t.rejects(phase, { code: 'FST_LIFECYCLE_STOPPING' })
})

await t.test('health lists no phases where there is no lifecycle', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(health)
  t.strictSame((await app.inject('/health/ready')).json(), { status: 'ready', phases: [], breakers: {} })
})
