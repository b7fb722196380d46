/**
 * `npm test [-- [--grep=/expression/] files and folders of test/]`: compiles the tests, starts Postgres and Redis for them, prepares the database that each test
 * file clones, runs them, or those of such a name, and stops what it started. The servers are not those of `npm start`.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { acquireServices } from '../services/embedded/index.js'
import { packageRoot } from '../services/package-root.js'
import { runTests } from './run-tests.js'
import { createTestDatabases } from './test-databases.js'

/** Once, without a look at types, beside what they test: a loader would do it in each test file and each process that one starts, at 1 s of CPU and more. */
async function compileTests (): Promise<void> {
  await rm(join(packageRoot(), 'dist', 'test'), { recursive: true, force: true })
  await build({ absWorkingDir: packageRoot(), entryPoints: ['test/**/*.ts'], outbase: '.', outdir: 'dist', format: 'esm', target: 'node20', sourcemap: true })
}

/** A test file is named by its source. */
const compiled = (argument: string): string => argument.replace(/^(?:\.\/)?test\//, '').replace(/\.ts$/, '.js').replace(/\/$/, '')

const { positionals, values: { grep } } = parseArgs({ allowPositionals: true, options: { grep: { type: 'string' } } })
await compileTests()
const services = await acquireServices({
  directory: join(packageRoot(), '.holdfast', 'test'),
  need: { postgres: true, redis: true },
  log: (message) => console.error(`holdfast: ${message}`)
})
try {
  const { databaseUrl, redisUrl } = services
  if (databaseUrl === null || redisUrl === null) throw new Error('the embedded services gave no URL')
  const databases = await createTestDatabases(databaseUrl)
  process.exitCode = await runTests({
    directory: join(packageRoot(), 'dist', 'test'),
    only: positionals.map(compiled),
    env: {
      HOLDFAST_TEST_DATABASE_URL: databaseUrl,
      HOLDFAST_TEST_REDIS_URL: redisUrl,
      HOLDFAST_TEST_TEMPLATE: databases.template,
      HOLDFAST_TEST_CLUSTER: databases.cluster,
      ...(grep === undefined ? {} : { TAP_GREP: grep })
    }
  })
  await databases.remove()
} finally {
  await services.release()
}
