import assert from 'node:assert/strict'
import { clean, runLoad, sendFirst } from './measure.mjs'
import { readOptions } from './options.mjs'
import { keysOf } from './redis.mjs'
import { align, environment, verdict, whole } from './report.mjs'
import { runBenchmark } from './session.mjs'

const answerBytes = 200
const records = 1_000
/** Of Redis for one finished record. */
const allowedInRedis = 1_024
/** Of heap for one request between the first look and the last: a single pointer that is kept would be 8. */
const allowedGrowth = 2
/** Shares of all requests after which the heap is looked at. By the first, everything that grows to a limit has long reached it. */
const looks = [0.2, 0.6, 1]

const variant = { name: 'memory', answers: 'first', mark: ['idempotency-status', 'created'], rows: ['idempotency_records'], mirrored: true }

await runBenchmark(async (session) => {
  const { requests, connections } = readOptions({ requests: 1_000_000, connections: 64 })
  const inRedis = await measureRedis(session)
  const heap = await measureHeap(session, requests, connections)
  const [first, last] = [heap[0], heap.at(-1)]
  const growth = (last.heapUsed - first.heapUsed) / (last.sent - first.sent)
  const rows = [
    [`Redis for a record of a ${answerBytes}-byte body, mean of ${whole(records)}`, `≤ ${whole(allowedInRedis)} B`, `${whole(inRedis.mean)} B`, verdict(inRedis.mean <= allowedInRedis)],
    ['the largest of them', '', `${whole(inRedis.largest)} B`, ''],
    ...heap.map(({ sent, heapUsed }) => [`heap after ${whole(sent)} requests`, '', `${(heapUsed / 1_048_576).toFixed(2)} MiB`, '']),
    ['growth of the heap a request, from first to last', `≤ ${allowedGrowth} B`, `${growth.toFixed(2)} B`, verdict(growth <= allowedGrowth)]
  ]
  console.log(['', ...await environment(session), '', align([['what', 'target', 'measured', ''], ...rows])].join('\n'))
})

/** As `MEMORY USAGE` says: key, value, expiry and what the allocator adds. */
async function measureRedis (session) {
  const shortest = JSON.stringify({ id: 1, amount: 4_999, currency: 'EUR', status: 'accepted', note: '' })
  const { server, prefix } = await startServer(session, 'redis', { note: 'x'.repeat(answerBytes - shortest.length) })
  const answers = await sendFirst(`${server.address}/orders`, records)
  assert.ok(answers.every(({ body }) => body.length >= answerBytes))
  const sizes = []
  for await (const keys of keysOf(session.redis, prefix)) {
    for (const key of keys) if (!key.endsWith(':generation')) sizes.push(await session.redis.memory('USAGE', key, 'SAMPLES', 0))
  }
  assert.equal(sizes.length, records)
  return { mean: sizes.reduce((sum, size) => sum + size) / records, largest: Math.max(...sizes) }
}

/** First requests, the dearest of all: each leaves a record in Redis and in the mirror. */
async function measureHeap (session, requests, connections) {
  // Short, so that Redis need not hold a million records at once.
  const context = await startServer(session, 'heap', { retention: 60_000, execArgv: ['--expose-gc'] })
  const { server, prefix } = context
  const load = session.start('load.mjs')
  const seen = []
  let sent = 0
  for (const share of looks) {
    const amount = Math.round(requests * share) - sent
    await runLoad({ variant, server, load }, { connections, amount })
    sent += amount
    const unmirrored = await clean({ variant, ...context }, { redis: session.redis, prefix })
    seen.push({ sent, unmirrored, ...await server.ask('heap') })
    console.error(`${sent} requests  ${JSON.stringify(seen.at(-1))}`)
  }
  return seen
}

async function startServer (session, name, { note, retention = 600_000, execArgv }) {
  const database = await session.database()
  const server = session.start('server.mjs', execArgv)
  const prefix = `${session.prefix}:${name}`
  const { redisUrl } = session
  server.address = await server.ask('start', { guard: 'holdfast', stores: ['redis', 'postgres'], note, prefix, retention, redisUrl, databaseUrl: database.url })
  return { server, database, prefix }
}
