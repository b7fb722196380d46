/**
 * `npm test [-- tap arguments]`: compiles the tests, starts Postgres and Redis for them, prepares the database that each test file clones, runs tap, and
 * stops what it started. The servers are not those of `npm start`.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { execute } from '../services/database/execute.js'
import { createDatabase } from '../services/database/index.js'
import { acquireServices } from '../services/embedded/index.js'
import { silentLog } from '../services/log.js'
import { packageRoot } from '../services/package-root.js'

const template = `holdfast_template_${process.pid}`

/** Once, without a look at types, beside what they test: a loader would do it in each test file and each process that one starts, at 1 s of CPU and more. */
async function compileTests (): Promise<void> {
  await rm(join(packageRoot(), 'dist', 'test'), { recursive: true, force: true })
  await build({ absWorkingDir: packageRoot(), entryPoints: ['test/**/*.ts'], outbase: '.', outdir: 'dist', format: 'esm', target: 'node20', sourcemap: true })
}

/** A test file is named by its source. */
const compiled = (argument: string): string => argument.replace(/^(?:\.\/)?(test\/.*)\.ts$/, 'dist/$1.js')

async function createTemplate (url: string): Promise<void> {
  await execute(url, `CREATE DATABASE ${template}`)
  const database = createDatabase({ url: Object.assign(new URL(url), { pathname: `/${template}` }).href, log: silentLog })
  await database.migrate()
  await database.close()
}

async function runTap (env: Record<string, string>): Promise<number> {
  const child = spawn(join(packageRoot(), 'node_modules', '.bin', 'tap'), ['run', ...process.argv.slice(2).map(compiled)], { stdio: 'inherit', env: { ...process.env, ...env } })
  const forward = (signal: NodeJS.Signals): void => { child.kill(signal) }
  process.on('SIGINT', forward).on('SIGTERM', forward)
  const [code] = await once(child, 'exit') as [number | null]
  return code ?? 1
}

await compileTests()
const services = await acquireServices({
  directory: join(packageRoot(), '.holdfast', 'test'),
  need: { postgres: true, redis: true },
  log: (message) => console.error(`holdfast: ${message}`)
})
try {
  const { databaseUrl, redisUrl } = services
  if (databaseUrl === null || redisUrl === null) throw new Error('the embedded services gave no URL')
  await createTemplate(databaseUrl)
  process.exitCode = await runTap({ HOLDFAST_TEST_DATABASE_URL: databaseUrl, HOLDFAST_TEST_REDIS_URL: redisUrl, HOLDFAST_TEST_TEMPLATE: template })
  await execute(databaseUrl, `DROP DATABASE ${template}`)
} finally {
  await services.release()
}
