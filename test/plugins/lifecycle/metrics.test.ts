import type { Registry } from 'prom-client'
import t from 'tap'
import metrics from '../../../plugins/metrics/index.js'
import { gate, until } from '../../helper.js'
import { build } from './helper.js'

async function value (registry: Registry, series: string): Promise<number | null> {
  const line = (await registry.metrics()).split('\n').find((line) => line.startsWith(`${series} `))
  return line === undefined ? null : Number(line.split(' ')[1])
}

await t.test('metrics show the phases and the length of the stop, wherever the registry comes from', async (t) => {
  const app = await build(t)
  await app.register(metrics)
  const { metrics: registry } = app
  const back = gate()
  let gone = true
  await app.lifecycle.phase('config', () => {})
  await app.lifecycle.phase('redis', () => { throw new Error('no Redis') }, { optional: true, retry: false })
  await app.lifecycle.phase('database', () => {}, { probe: async () => { if (gone) throw new Error('gone') } })
  await app.ready()
  const late = app.lifecycle.phase('late', () => back.opened)
  const later = app.lifecycle.phase('later', () => {}, { after: ['late'] })
  await until('the first one of the two runs', async () => (await app.lifecycle.report()).some(({ name, state }) => name === 'late' && state === 'running'))
  const shown = async () => Object.fromEntries(await Promise.all(['later', 'late', 'config', 'redis', 'database'].map(async (name) => [name, await value(registry, `lifecycle_phase{phase="${name}"}`)])))
  t.strictSame(await shown(), { later: 0, late: 1, config: 2, redis: 3, database: 4 })
  t.equal(await value(registry, 'shutdown_duration_seconds'), 0)
  gone = false
  back.open()
  await Promise.all([late, later])
  t.strictSame(await shown(), { later: 2, late: 2, config: 2, redis: 3, database: 2 })
  let during: number | null = null
  app.lifecycle.onDrain('look', () => until('time has passed', async () => {
    during = await value(registry, 'shutdown_duration_seconds')
    return during !== null && during >= 0.02
  }))
  await app.close()
  const after = await value(registry, 'shutdown_duration_seconds')
  t.ok(during !== null && after !== null && after >= during && after < 5, `${during} s, ${after} s`)
  t.equal(await value(registry, 'lifecycle_phase{phase="config"}'), null)
})
