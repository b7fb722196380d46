import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createDatabase, openPostgres } from './postgres.mjs'
import { openRedis } from './redis.mjs'
import { startProcess } from './rpc.mjs'

/**
 * Runs a benchmark with what it needs: `start` for processes, `redis`, `database` for a new database with our tables, a key `prefix` of its own, a
 * `signal` that ends it, and `defer` for what is to be undone. Everything is given back whatever happens; a failure makes the exit code 1.
 */
export async function runBenchmark (main) {
  const interrupted = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => interrupted.abort(new Error(`ended by ${name}`)))
  const { signal } = interrupted
  const cleanups = []
  const fail = (error) => {
    console.error(signal.aborted ? signal.reason.message : error)
    process.exitCode = 1
  }
  try {
    if (!existsSync(new URL('../dist/plugins/idempotency/index.js', import.meta.url))) throw new Error('dist is missing: run `npm run build` first')
    await main(await openSession(signal, (cleanup) => { cleanups.push(cleanup) }))
  } catch (error) {
    fail(error)
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup().catch(fail)
  }
}

async function openSession (signal, defer) {
  const { redisUrl, databaseUrl, release } = await acquire(signal)
  defer(release)
  const redis = await openRedis(redisUrl, { keep: Boolean(process.env.REDIS_URL) })
  defer(async () => { redis.disconnect() })
  const postgres = openPostgres(databaseUrl)
  defer(() => postgres.end())
  return {
    redisUrl,
    redis,
    postgres,
    prefix: `holdfast-bench:${randomBytes(6).toString('hex')}`,
    signal,
    defer,
    start (file, execArgv) {
      const started = startProcess(file, { signal, execArgv })
      defer(started.end)
      return started
    },
    async database () {
      const database = await createDatabase(postgres, databaseUrl)
      defer(database.drop)
      return database
    }
  }
}

/** The servers of REDIS_URL and DATABASE_URL; those that are not set are started, and stopped by `release`. */
async function acquire (signal) {
  const { REDIS_URL: redisUrl, DATABASE_URL: databaseUrl } = process.env
  const need = { postgres: !databaseUrl, redis: !redisUrl }
  if (!need.postgres && !need.redis) return { redisUrl, databaseUrl, release: async () => {} }
  const { acquireServices } = await import('../dist/services/embedded/index.js')
  const started = await acquireServices({ directory: fileURLToPath(new URL('.holdfast', import.meta.url)), need, log: console.error, signal })
  return { redisUrl: redisUrl || started.redisUrl, databaseUrl: databaseUrl || started.databaseUrl, release: started.release }
}
