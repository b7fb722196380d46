import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { body } from './measure.mjs'
import { readOptions } from './options.mjs'
import { align, environment, median, verdict } from './report.mjs'
import { runBenchmark } from './session.mjs'

const servers = 2

/** What the slowest hundredth may take longer than the handler, ms. */
const allowed = 100

await runBenchmark(async (session) => {
  const { rounds, duplicates, handler } = readOptions({ rounds: 9, duplicates: 1_000, handler: 300 })
  const database = await session.database()
  const pairs = []
  for (let i = 0; i < servers; i++) pairs.push(await startPair(session, database, handler, duplicates))
  await fire(pairs, duplicates) // compiles
  const results = []
  for (let round = 0; round < rounds; round++) {
    results.push(await fire(pairs, duplicates))
    console.error(`round ${round + 1}/${rounds}  ${JSON.stringify(results.at(-1))}`)
  }
  const middle = (name) => median(results.map((result) => result[name]))
  const p99 = middle('p99')
  const rows = [
    [`runs of the handler for ${duplicates} duplicates over ${servers} processes`, '1', String(Math.max(...results.map(({ runs }) => runs))), verdict(true)],
    ['answers that are the first one’s', String(duplicates), String(Math.min(...results.map(({ right }) => right))), verdict(true)],
    [`p99 of a round, handler ${handler} ms`, `≤ ${handler + allowed} ms`, `${p99.toFixed(0)} ms`, verdict(p99 <= handler + allowed)],
    ['p50 of a round', '', `${middle('p50').toFixed(0)} ms`, ''],
    ['the slowest answer of a round', '', `${middle('slowest').toFixed(0)} ms`, '']
  ]
  console.log(['', ...await environment(session), `${rounds} rounds, medians but for the first two rows`, '', align([['what', 'target', 'measured', ''], ...rows])].join('\n'))
})

/** A server and a process of clients for it. */
async function startPair (session, { url: databaseUrl }, work, duplicates) {
  const server = session.start('server.mjs')
  const options = { onConcurrent: 'wait', maxWaiters: duplicates, maxWaitersPerKey: duplicates }
  const { redisUrl, prefix } = session
  server.address = await server.ask('start', { guard: 'holdfast', stores: ['redis', 'postgres'], options, work, redisUrl, databaseUrl, prefix, retention: 600_000 })
  const clients = session.start('burst.mjs')
  await clients.ask('open', { address: server.address, count: duplicates / servers })
  return { server, clients }
}

/** One key, so many times at once. Throws when an answer is not the first one's, or the handler ran twice. */
async function fire (pairs, duplicates) {
  const key = randomUUID()
  const before = await handled(pairs)
  const answers = (await Promise.all(pairs.map(({ server: { address }, clients }) =>
    clients.ask('fire', { url: `${address}/orders`, body, key, count: duplicates / servers })))).flat()
  const runs = await handled(pairs) - before
  const count = (how) => answers.filter((answer) => answer.how === how).length
  const first = answers.find(({ how }) => how === 'created')
  const right = answers.filter(({ status, body }) => status === 201 && body === first?.body).length
  assert.deepEqual({ runs, created: count('created'), right }, { runs: 1, created: 1, right: duplicates })
  const times = answers.map(({ ms }) => ms).sort((a, b) => a - b)
  const at = (share) => Math.round(times[Math.ceil(times.length * share) - 1] * 10) / 10
  return { runs, right, coalesced: count('coalesced'), replayed: count('replayed'), reused: answers.filter(({ reused }) => reused).length, p50: at(0.5), p99: at(0.99), slowest: at(1) }
}

async function handled (pairs) {
  let sum = 0
  for (const { server } of pairs) sum += (await server.ask('usage')).handled
  return sum
}
