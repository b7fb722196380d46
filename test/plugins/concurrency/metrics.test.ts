import Fastify from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import concurrency from '../../../plugins/concurrency/index.js'
import metrics from '../../../plugins/metrics/index.js'
import { gate } from '../../services/concurrency/helper.js'
import { build, named, shown } from './helper.js'

await t.test('what is configured is shown before anything happened', async (t) => {
  const { registry } = await build(t)
  for (const name of ['database', 'websocket', 'scheduler']) t.equal(await shown(registry, `concurrency_queue_length{name="${name}"}`), 0)
  t.equal(await shown(registry, 'circuit_breaker_state{name="database"}'), 0)
  t.equal(await shown(registry, 'rate_limiter_rejections_total{name="api"}'), 0)
})

await t.test('those that wait at the lock and at the semaphore of a name are counted together, of all applications of a registry', async (t) => {
  const registry = new Registry()
  const [one, other] = [(await build(t, { metrics: registry })).app, (await build(t, { metrics: registry })).app]
  const finish = gate()
  const work = () => finish.opened
  const runs = [one, other].flatMap(({ concurrency }) => [
    ...Array.from({ length: 2 }, () => concurrency.lock('database').run('key', work)),
    concurrency.lock('database').run('other key', work),
    ...Array.from({ length: 4 }, () => concurrency.semaphore('database').run(work))
  ])
  t.equal(await shown(registry, 'concurrency_queue_length{name="database"}'), 6)
  await t.rejects(one.concurrency.breaker('database').run(() => { throw new Error('down') }))
  t.equal(await shown(registry, 'circuit_breaker_state{name="database"}'), 2)
  for (const { concurrency } of [one, other]) for (let use = 0; use < 3; use++) await concurrency.limiter('api').consume('me').catch(() => null)
  t.equal(await shown(registry, 'rate_limiter_rejections_total{name="api"}'), 2)
  finish.open()
  await Promise.all(runs)
  await one.close()
  t.equal(await shown(registry, 'concurrency_queue_length{name="database"}'), 0)
  t.equal(await shown(registry, 'circuit_breaker_state{name="database"}'), 0)
})

await t.test('the registry of holdfast/metrics is used where there is one, and none where there is none', async (t) => {
  const [measured, bare] = [Fastify(), Fastify()]
  t.teardown(() => Promise.all([measured.close(), bare.close()]))
  await measured.register(metrics)
  for (const app of [measured, bare]) await app.register(concurrency, named)
  t.match((await measured.inject('/metrics')).body, /^concurrency_queue_length\{name="websocket"\} 0$/m)
  t.equal(await bare.concurrency.lock('database').run('key', () => 'ran'), 'ran')
})
