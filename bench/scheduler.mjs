import { readOptions } from './options.mjs'
import { removeKeys } from './redis.mjs'
import { align, environment } from './report.mjs'
import { measureRuns } from './scheduler/runs.mjs'
import { measureStop } from './scheduler/stop.mjs'
import { measureTicks } from './scheduler/ticks.mjs'
import { measureUsers } from './scheduler/users.mjs'
import { runBenchmark } from './session.mjs'

const parts = { ticks: measureTicks, users: measureUsers, runs: measureRuns, stop: measureStop }

await runBenchmark(async (session) => {
  const { only, ...options } = readOptions({ seconds: 60, schedules: 100_000, upserts: 1_000, rounds: 5, runs: 2_000 }, ['only'])
  const names = only?.split(',') ?? Object.keys(parts)
  const unknown = names.find((name) => parts[name] === undefined)
  if (unknown !== undefined) throw new TypeError(`--only must name some of ${Object.keys(parts).join(', ')}, got ${unknown}`)
  for (const prefix of [session.prefix, `{${session.prefix}*}`]) session.defer(() => removeKeys(session.redis, prefix)) // those of a queue have their prefix in a hash tag
  const rows = []
  for (const name of names) rows.push(...await parts[name](session, options))
  console.log(['', ...await environment(session), `${options.rounds} rounds, medians of the ratios of single rounds`, '', align([['what', 'target', 'measured', ''], ...rows])].join('\n'))
})
