import { fillPostgres, fillRedis } from './fill.mjs'
import { runLoad } from './measure.mjs'
import { readOptions } from './options.mjs'
import { openRedis, removeKeys, removeRecords } from './redis.mjs'
import { align, environment, median, ratio, verdict, whole } from './report.mjs'
import { runBenchmark } from './session.mjs'

const few = 1_000
const atLeast = 0.9

/** Filled records live this long, ms: longer than a run. */
const retention = 3_600_000

/** No cache in the process: it would answer a thousand keys and not a million. Replays ask for random keys of all that are there. */
const options = { localCache: { maxRecords: 0 } }

const operations = [
  { name: 'claim', answers: 'first', mark: ['idempotency-status', 'created'] },
  { name: 'replay', answers: 'replay', mark: ['idempotent-replayed', 'true'] }
]

await runBenchmark(async (session) => {
  const { records: many, ...flags } = readOptions({ rounds: 5, duration: 3, warmup: 1, connections: 64, records: 1_000_000 })
  const load = session.start('load.mjs')
  const stores = [await openRedisPair(session, [few, many]), await openPostgresPair(session, [few, many])]
  const measured = stores.flatMap(({ name, sides }) => operations.map((operation) => ({ name, operation, sides, rounds: [[], []] })))
  for (let round = 0; round < flags.rounds; round++) {
    for (const { name, operation, sides, rounds } of measured) {
      // Who comes first alternates.
      for (const index of round % 2 === 0 ? [0, 1] : [1, 0]) {
        rounds[index].push(await measure(operation, sides[index], load, flags))
        console.error(`round ${round + 1}/${flags.rounds}  ${name} ${operation.name.padEnd(6)} ${whole(sides[index].count).padStart(9)} records  ${whole(rounds[index].at(-1).rate)} req/s`)
      }
    }
  }
  const rows = measured.map(({ name, operation, rounds: [small, large] }) => {
    const rate = ratio(large, small, 'rate')
    const middle = (rounds) => whole(median(rounds.map(({ rate }) => rate)))
    return [`${operation.name}, ${name}`, middle(small), middle(large), `≥ ${atLeast}`, rate.toFixed(2), ratio(small, large, 'cpu').toFixed(2), verdict(rate >= atLeast)]
  })
  const head = ['what', `req/s, ${whole(few)} records`, `req/s, ${whole(many)}`, 'target', 'by req/s', 'by CPU', '']
  console.log(['', ...await environment(session), `${flags.connections} connections, ${flags.rounds} rounds of ${flags.duration} s; medians`, '', align([head, ...rows])].join('\n'))
})

/** What a first request leaves goes from the small side, or it would be small no longer; the large side may grow. */
async function measure (operation, { server, reset }, load, { connections, warmup, duration }) {
  const { answers, name, mark } = operation
  const replays = answers === 'replay' ? server.filled : null
  const result = await runLoad({ variant: { name, answers, mark }, server, load }, { connections, warmup, duration, replays })
  if (answers === 'first') await reset()
  return result
}

async function startServer (session, count, settings) {
  const server = session.start('server.mjs')
  server.address = await server.ask('start', { guard: 'holdfast', options, retention, ...settings })
  server.filled = count
  return server
}

/** Two databases of one Redis: each has a table of keys of its own. */
async function openRedisPair (session, counts) {
  const sides = []
  for (const [number, count] of counts.entries()) {
    const { href: redisUrl } = Object.assign(new URL(session.redisUrl), { pathname: `/${number}` })
    const redis = await openRedis(redisUrl, { keep: true })
    session.defer(async () => { redis.disconnect() })
    session.defer(() => removeKeys(redis, session.prefix))
    console.error(`filling Redis with ${whole(count)} records`)
    await fillRedis(redis, session.prefix, count, retention)
    const server = await startServer(session, count, { stores: ['redis'], redisUrl, prefix: session.prefix })
    const reset = async () => {
      if (count !== few) return
      await removeRecords(redis, session.prefix)
      await fillRedis(redis, session.prefix, count, retention)
    }
    sides.push({ count, server, reset })
  }
  return { name: 'Redis', sides }
}

async function openPostgresPair (session, counts) {
  const sides = []
  for (const count of counts) {
    const { url: databaseUrl, pool } = await session.database()
    console.error(`filling Postgres with ${whole(count)} records`)
    await fillPostgres(pool, count, retention)
    const server = await startServer(session, count, { stores: ['postgres'], databaseUrl, prefix: session.prefix })
    const reset = async () => {
      if (count !== few) return
      await pool.query('TRUNCATE idempotency_records')
      await fillPostgres(pool, count, retention)
    }
    sides.push({ count, server, reset })
  }
  return { name: 'Postgres', sides }
}
