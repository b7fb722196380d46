import Fastify from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import * as errors from '../../../plugins/scheduler/errors.js'
import scheduler from '../../../plugins/scheduler/index.js'
import { createMetrics } from '../../../plugins/scheduler/metrics.js'
import { defaults } from '../../../plugins/scheduler/options.js'
import { results } from '../../../services/scheduler/observer.js'
import { plainTablesOf } from '../../readme.js'

const table = await plainTablesOf('scheduler')

/** As the tables write it. */
const written = (value: unknown): string => typeof value === 'number' ? value.toLocaleString('en') : JSON.stringify(value).replaceAll('"', "'").replaceAll(',', ', ')

await t.test('the errors that exist are those of the table, with their status where they are thrown', async (t) => {
  const rows = table('\n## Errors\n')
  const thrown = rows.filter(([,, when = '']) => !when.startsWith('Reason of a run\'s signal')).map(([code]) => code)
  t.same(rows.map(([code]) => code).sort(), Object.keys(errors).sort())
  t.same(Object.fromEntries(rows.filter(([, status]) => status !== '').map(([code, status]) => [code, Number(status)])),
    Object.fromEntries(Object.entries(errors).filter(([name]) => thrown.includes(name)).map(([name, Make]) => [name, new (Make as unknown as new () => { statusCode: number })().statusCode])))
})

await t.test('the options that are known are those of the table, with their defaults', async (t) => {
  const documented = Object.fromEntries(table('\n## Options\n').map(([name = '', value = '']) => [name, value.replace(/ ms$/, '')]))
  const failure = await Fastify().register(scheduler, { unknown: 1 } as never).then(() => null, (error: Error) => error)
  t.same(Object.keys(documented).sort(), failure?.message.replace(/.*expected one of /, '').split(', ').sort())
  const { redis, postgres, metrics, ...rest } = documented
  t.strictSame([redis, postgres, metrics], ['required', 'required', 'that of holdfast/metrics'])
  t.same(rest, Object.fromEntries(Object.entries(defaults).map(([name, value]) => [name, written(value)])))
})

await t.test('the metrics that exist are those of the table, with their labels', async (t) => {
  const registry = new Registry()
  createMetrics(registry)
  const documented = table('\n## Metrics\n').map(([name, labels = '']) => [name, labels.split(': ')[0]])
  const existing = registry.getMetricsAsArray().map((metric) => [metric.name, (metric as unknown as { labelNames: string[] }).labelNames.join(', ')])
  t.same(documented.sort(), existing.sort())
  t.match(table('\n## Metrics\n').find(([name]) => name === 'scheduler_runs_total')?.[1], results.join(', '))
})
