import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { countPerRequest, measureRound } from './measure.mjs'
import { readOptions } from './options.mjs'
import { describeRedis, openRedis, removeKeys } from './redis.mjs'
import { comparison, environment, table } from './report.mjs'
import { startProcess } from './rpc.mjs'
import { chooseVariants } from './variants.mjs'

/** Keys that a killed run leaves behind live this long, ms. */
const retention = 600_000

const interrupted = new AbortController()
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => interrupted.abort(new Error(`ended by ${name}`)))

try {
  await main(readOptions(process.argv.slice(2)), interrupted.signal)
} catch (error) {
  console.error(interrupted.signal.aborted ? interrupted.signal.reason.message : error)
  process.exitCode = 1
}

async function main (options, signal) {
  const variants = chooseVariants(options.only)
  if (!existsSync(new URL('../dist/plugins/idempotency/index.js', import.meta.url))) throw new Error('dist is missing: run `npm run build` first')
  const cleanups = []
  try {
    const { url, redis, release } = await openRedis({ signal, log: console.error })
    const prefix = `holdfast-bench:${randomBytes(6).toString('hex')}`
    cleanups.push(release, async () => { redis.disconnect() }, () => removeKeys(redis, prefix))
    const start = (file, execArgv) => {
      const started = startProcess(file, { signal, execArgv })
      cleanups.push(started.end)
      return started
    }
    const load = start('load.mjs')
    const results = []
    for (const variant of variants) {
      const server = start('server.mjs', options.profile === null ? [] : profilerOf(options.profile, variant))
      server.address = await server.ask('start', { guard: variant.guard, redisUrl: url, prefix, retention })
      results.push({ variant, server, rounds: [], commands: await countPerRequest({ variant, server, redis, prefix }) })
    }
    await measureRounds(results, { load, redis, prefix, options })
    console.log(['', ...environment(options, await describeRedis(redis)), '', table(results), '', ...comparison(results)].join('\n'))
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup().catch(fail)
  }
}

/** The order rotates, so that no variant always follows the same one or always comes first. */
async function measureRounds (results, { load, redis, prefix, options }) {
  for (let round = 0; round < options.rounds; round++) {
    for (let turn = 0; turn < results.length; turn++) {
      const { variant, server, rounds } = results[(round + turn) % results.length]
      const result = await measureRound({ variant, server, load, options })
      rounds.push(result)
      console.error(`round ${round + 1}/${options.rounds}  ${variant.name.padEnd(16)} ${Math.round(result.rate)} req/s`)
      await removeKeys(redis, prefix)
    }
  }
}

function profilerOf (directory, { name }) {
  return ['--cpu-prof', `--cpu-prof-dir=${resolve(directory)}`, `--cpu-prof-name=${name}.cpuprofile`]
}

function fail (error) {
  console.error(error)
  process.exitCode = 1
}
