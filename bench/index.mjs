import { resolve } from 'node:path'
import { clean, countPerRequest, measureRound } from './measure.mjs'
import { readOptions } from './options.mjs'
import { comparison, environment, table } from './report.mjs'
import { runBenchmark } from './session.mjs'
import { targets } from './targets.mjs'
import { chooseVariants } from './variants.mjs'

/** Keys that a killed run leaves behind live this long, ms. */
const retention = 600_000

await runBenchmark(async (session) => {
  const options = readOptions({ rounds: 5, duration: 3, warmup: 1, connections: 64 }, ['only', 'profile'])
  const variants = chooseVariants(options.only?.split(',') ?? null)
  const load = session.start('load.mjs')
  const results = []
  for (const variant of variants) results.push(await startVariant(variant, load, session, options))
  await measureRounds(results, session, options)
  const settings = `${options.connections} connections, ${options.rounds} rounds of ${options.duration} s after ${options.warmup} s of warm-up; medians of the rounds`
  console.log(['', ...await environment(session), settings, '', table(results), '', comparison(results, targets)].join('\n'))
})

/** A server with a database of its own where it needs one, so that no variant meets another's rows. */
async function startVariant (variant, load, session, { profile }) {
  const { guard, stores, options, name } = variant
  const prefix = `${session.prefix}:${name}`
  const database = guard.includes('transaction') || stores?.includes('postgres') ? await session.database() : null
  const server = session.start('server.mjs', profile === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(profile)}`, `--cpu-prof-name=${name}.cpuprofile`])
  server.address = await server.ask('start', { guard, stores, options, redisUrl: session.redisUrl, databaseUrl: database?.url, prefix, retention })
  const context = { variant, server, load, database, prefix, rounds: [] }
  context.commands = await countPerRequest(context, { redis: session.redis, prefix })
  await clean(context, { redis: session.redis, prefix })
  return context
}

/** The order rotates, so that no variant always follows the same one or always comes first. */
async function measureRounds (results, { redis }, options) {
  for (let round = 0; round < options.rounds; round++) {
    for (let turn = 0; turn < results.length; turn++) {
      const context = results[(round + turn) % results.length]
      const result = await measureRound(context, options)
      context.rounds.push(result)
      console.error(`round ${round + 1}/${options.rounds}  ${context.variant.name.padEnd(20)} ${Math.round(result.rate)} req/s`)
      const missing = await clean(context, { redis, prefix: context.prefix })
      if (missing > 0) console.error(`${context.variant.name}: ${missing} of ${result.answered} records were not in Postgres when it had stood still for a while: late, or dropped`)
    }
  }
}
