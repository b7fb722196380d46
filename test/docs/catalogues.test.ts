import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import * as migrationsErrors from '../../migrations/errors.js'
import * as apiErrors from '../../plugins/api/errors.js'
import * as concurrencyErrors from '../../plugins/concurrency/errors.js'
import * as healthErrors from '../../plugins/health/errors.js'
import * as idempotencyErrors from '../../plugins/idempotency/errors.js'
import * as lifecycleErrors from '../../plugins/lifecycle/errors.js'
import * as locksErrors from '../../plugins/locks/errors.js'
import * as metricsErrors from '../../plugins/metrics/errors.js'
import * as schedulerErrors from '../../plugins/scheduler/errors.js'
import { environment } from '../../services/config/index.js'
import { packageRoot } from '../../services/package-root.js'

const read = (...path: string[]): Promise<string> => readFile(join(packageRoot(), ...path), 'utf8')
const isCode = (name: string): boolean => name.startsWith('FST_')
const slugOf = (code: string): string => code.replace('FST_', '').toLowerCase().replaceAll('_', '-')

/** First cells of the rows of the table under a heading, without backticks. */
function firstCells (markdown: string, heading: string): string[] {
  const section = markdown.split(/^#+ /m).find((text) => text.startsWith(`${heading}\n`)) ?? ''
  return [...section.matchAll(/^\| (`.+?`)(?:, )?(`.+?`)? .*\|/gm)].flatMap(([, ...cells]) => cells.filter((cell) => cell !== undefined)).map((cell) => cell.replaceAll('`', ''))
}

const catalogues = { ...apiErrors, ...concurrencyErrors, ...healthErrors, ...idempotencyErrors, ...lifecycleErrors, ...locksErrors, ...metricsErrors, ...migrationsErrors, ...schedulerErrors }

/** Those that only a programmer meets. */
const notAnswered = [
  'FST_CONCURRENCY_OPTION_INVALID', 'FST_CONCURRENCY_UNKNOWN_NAME', 'FST_CONCURRENCY_NOT_WIRED',
  'FST_HEALTH_OPTION_INVALID', 'FST_METRICS_OPTION_INVALID',
  'FST_IDEMPOTENCY_OPTION_INVALID', 'FST_IDEMPOTENCY_NOT_WIRED',
  'FST_IDEMPOTENCY_TRANSACTION_UNAVAILABLE', 'FST_IDEMPOTENCY_TRANSACTION_REPEATED', 'FST_IDEMPOTENCY_ANSWER_INVALID',
  'FST_LIFECYCLE_OPTION_INVALID', 'FST_LIFECYCLE_USAGE', 'FST_LIFECYCLE_TIMEOUT', 'FST_LIFECYCLE_STOPPING', 'FST_LIFECYCLE_SIGNALS_TAKEN',
  'FST_LOCKS_OPTION_INVALID', 'FST_LOCKS_NOT_WIRED', 'FST_LOCKS_USAGE', 'FST_LOCKS_LOST',
  'FST_MIGRATIONS_OPTION_INVALID', 'FST_MIGRATIONS_FAILED',
  'FST_SCHEDULER_OPTION_INVALID', 'FST_SCHEDULER_DUPLICATE', 'FST_SCHEDULER_TOO_LATE', 'FST_SCHEDULER_KEY_PREFIX', 'FST_SCHEDULER_NO_TRANSACTION',
  'FST_SCHEDULER_RUN_TIMEOUT', 'FST_SCHEDULER_RUN_CANCELLED', 'FST_SCHEDULER_RUN_LOST', 'FST_SCHEDULER_STOPPING'
]

await t.test('every error that is answered has a page, and every page an error', async (t) => {
  const codes = Object.keys(catalogues).filter((name) => isCode(name) && !notAnswered.includes(name))
  const pages = (await readdir(join(packageRoot(), 'docs', 'problems'))).map((file) => file.replace(/\.md$/, ''))
  t.strictSame(codes.map(slugOf).sort(), pages.sort())
})

await t.test('every page names its code and status', async (t) => {
  for (const [code, Constructor] of Object.entries(catalogues)) {
    if (!isCode(code) || notAnswered.includes(code)) continue
    const { statusCode } = new (Constructor as new () => { statusCode?: number })()
    t.match(await read('docs', 'problems', `${slugOf(code)}.md`), `Status ${statusCode} · \`${code}\``)
  }
})

await t.test('README.md has every error of the API, and no other', async (t) => {
  const documented = firstCells(await read('README.md'), 'Errors').filter((code) => code.startsWith('FST_API_'))
  t.strictSame(documented.sort(), Object.keys(apiErrors).filter(isCode).sort())
})

for (const [path, errors] of Object.entries({
  'plugins/health': healthErrors, 'plugins/locks': locksErrors, 'plugins/metrics': metricsErrors, 'plugins/scheduler': schedulerErrors, migrations: migrationsErrors
})) {
  await t.test(`the table of ${path} has every error of it, and no other`, async (t) => {
    t.strictSame(firstCells(await read(path, 'README.md'), 'Errors').sort(), Object.keys(errors).filter(isCode).sort())
  })
}

await t.test('README.md has every environment variable, and no other', async (t) => {
  t.strictSame(firstCells(await read('README.md'), 'Options').sort(), environment.map(({ name }) => name).sort())
})

await t.test('docs/dependencies.md has every dependency, and no other', async (t) => {
  const { dependencies, devDependencies, peerDependencies } = JSON.parse(await read('package.json')) as Record<string, Record<string, string>>
  const documented = await read('docs', 'dependencies.md')
  const cells = [...documented.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(([, cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name))
  t.strictSame(cells.sort(), Object.keys({ ...dependencies, ...devDependencies, ...peerDependencies }).sort())
})

await t.test('the problem pages are served where the types of the problems point', async (t) => {
  const { build } = await import('../server/helper.js')
  const app = await build(t)
  const { type } = (await app.inject({ url: '/nothing' })).json<{ type: string }>()
  const codes = Object.keys(catalogues).filter((name) => isCode(name) && !notAnswered.includes(name))
  for (const code of codes) {
    const response = await app.inject({ url: type.replace(slugOf('FST_API_ROUTE_NOT_FOUND'), slugOf(code)) })
    t.equal(response.statusCode, 200, code)
    t.match(response.headers['content-type'], /^text\/markdown/)
    t.match(response.body, `\`${code}\``)
  }
})
