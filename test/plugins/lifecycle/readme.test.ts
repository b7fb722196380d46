import Fastify from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import * as errors from '../../../plugins/lifecycle/errors.js'
import lifecycle from '../../../plugins/lifecycle/index.js'
import { resolveOptions } from '../../../plugins/lifecycle/options.js'
import { plainTablesOf } from '../../readme.js'

const table = await plainTablesOf('lifecycle')

await t.test('the errors that exist are those of the table, with their status', async (t) => {
  const documented = Object.fromEntries(table('\n## Errors\n').map(([code, status]) => [code, Number(status)]))
  t.same(documented, Object.fromEntries(Object.entries(errors).map(([name, Make]) => [name, new (Make as unknown as new () => { statusCode: number })().statusCode])))
})

await t.test('the options that are known are those of the table, with their defaults', async (t) => {
  const documented = Object.fromEntries(table('\n## Options\n').map(([name = '', , value]) => [name, value]))
  const app = Fastify()
  t.teardown(() => app.close())
  const failure = await app.register(lifecycle, { unknown: 1 } as object).then(() => null, (error: Error) => error)
  t.same(Object.keys(documented).sort(), failure?.message.replace(/.*expected one of /, '').split(', ').sort())
  const { abortGrace, metrics, ...rest } = documented
  t.strictSame([abortGrace, metrics], ['a tenth of deadline, at most 2_000', 'fastify.metrics'])
  t.same(rest, Object.fromEntries(Object.entries(resolveOptions({})).filter(([name]) => name !== 'abortGrace').map(([name, value]) => [name, String(value)])))
  t.strictSame([{ deadline: 100 }, { deadline: 10_000 }, { deadline: 60_000 }].map((options) => resolveOptions(options).abortGrace), [10, 1_000, 2_000])
})

await t.test('the metrics that exist are those of the table', async (t) => {
  const [app, registry] = [Fastify(), new Registry()]
  t.teardown(() => app.close())
  await app.register(lifecycle, { metrics: registry })
  await app.ready()
  t.same(table('\n## Metrics\n').map(([name]) => name).sort(), registry.getMetricsAsArray().map(({ name }) => name).sort())
})
