import t from 'tap'
import * as errors from '../../../plugins/concurrency/errors.js'
import { defaults } from '../../../plugins/concurrency/options.js'
import { build } from './helper.js'
import { plainTablesOf } from '../../readme.js'

const table = await plainTablesOf('concurrency')

await t.test('the errors that exist are those of the table, with their status', async (t) => {
  const documented = Object.fromEntries(table('\n## Errors\n').map(([code, status]) => [code, Number(status)]))
  t.same(documented, Object.fromEntries(Object.entries(errors).map(([name, Make]) => [name, new (Make as unknown as new () => { statusCode: number })().statusCode])))
})

await t.test('the options that are known are those of the table, with their defaults', async (t) => {
  const documented = Object.fromEntries(table('\n## Options\n').map(([name, , value]) => [name, value]))
  const failure = await build(t, { unknown: 1 } as object).then(() => null, (error: Error) => error)
  t.same(Object.keys(documented).sort(), failure?.message.replace(/.*expected one of /, '').split(', ').sort())
  const { redis, limiterKey, metrics, ...rest } = documented
  t.strictSame([redis, limiterKey, metrics], ['none', '(request) => request.ip', 'fastify.metrics'])
  t.same(rest, Object.fromEntries(Object.entries(defaults).map(([name, value]) => [name, typeof value === 'string' ? `'${value}'` : JSON.stringify(value)])))
})

await t.test('the metrics that exist are those of the table', async (t) => {
  const { registry } = await build(t)
  t.same(table('\n## Metrics\n').map(([name]) => name).sort(), registry.getMetricsAsArray().map(({ name }) => name).sort())
})
