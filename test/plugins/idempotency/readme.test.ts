import Fastify from 'fastify'
import t from 'tap'
import idempotency from '../../../plugins/idempotency/index.js'
import * as errors from '../../../plugins/idempotency/errors.js'
import { defaults } from '../../../plugins/idempotency/settings.js'
import { tablesOf } from '../../readme.js'
import { build } from './helper.js'

const table = await tablesOf('idempotency')

const codeOf = (cell = ''): string => cell.replaceAll('`', '')
const known = (message: string): string[] => message.replace(/.*expected one of /, '').split(', ').sort()

await t.test('the errors that exist are those of the table, with their status', async (t) => {
  const documented = Object.fromEntries(table('\n## Errors\n').map(([code, status]) => [codeOf(code), Number(status)]))
  const { titles, ...created } = errors
  t.same(documented, Object.fromEntries(Object.entries(created).map(([name, Make]) => [name, new Make('').statusCode])))
  for (const [name, Make] of Object.entries(created)) t.equal(new Make('').code, name)
  for (const code of Object.keys(titles)) t.ok(code in created, `${code} has a title`)
})

await t.test('every row of a table says something in every cell but the unit', async (t) => {
  for (const row of table('\n## Errors\n')) t.ok(row.length === 4 && row.every(Boolean), row.join())
  for (const row of [...table('in `config.idempotency`:'), ...table('Of the plugin only:')]) t.ok(row.length === 5 && row.every((cell, column) => column === 3 || cell), row.join())
})

await t.test('the options that are known are those of the tables', async (t) => {
  const [forRoutes, forPlugin] = [table('in `config.idempotency`:'), table('Of the plugin only:')].map((rows) => rows.map(([name]) => codeOf(name)))
  const app = await build(t)
  try {
    app.post('/', { config: { idempotency: { unknown: 1 } as object } }, async () => 'ok')
    t.fail('an unknown option was taken')
  } catch (error) {
    t.same(forRoutes?.sort(), known((error as Error).message))
  }
  const other = Fastify()
  t.teardown(() => other.close())
  const failure = await other.register(idempotency, { unknown: 1 } as never).then(() => null, (error: Error) => error)
  t.same([...forRoutes ?? [], ...forPlugin ?? []].sort(), known(failure?.message ?? ''))
})

await t.test('the defaults are those of the tables', async (t) => {
  const documented = Object.fromEntries([...table('in `config.idempotency`:'), ...table('Of the plugin only:')].map(([name, , value]) => [codeOf(name), codeOf(value)]))
  const { store, principal, transactions, onStoreFailure, onConcurrent, guarantee, metrics, ...rest } = documented
  const { onConcurrent: reject, ...expected } = defaults
  t.same(rest, Object.fromEntries(Object.entries(expected).map(([name, value]) => [name, written(value)])))
  t.same([store, principal, transactions, metrics], ['none', 'none', 'store.postgres', 'fastify.metrics'])
  t.match(onStoreFailure, /^'proceed'/)
  t.match(onConcurrent, new RegExp(`^'${reject}'; 'wait' `))
  t.match(guarantee, /^'mirrored' with Redis and Postgres, else 'fast'$/)
})

/** As in TypeScript. */
function written (value: unknown): string {
  if (typeof value === 'number') return value.toLocaleString('en').replaceAll(',', '_')
  if (Array.isArray(value)) return `[${value.map(written).join(', ')}]`
  if (typeof value === 'object' && value !== null) return `{ ${Object.entries(value).map(([name, of]) => `${name}: ${written(of)}`).join(', ')} }`
  return typeof value === 'string' ? `'${value}'` : String(value)
}
