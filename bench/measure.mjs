import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { countRows } from './postgres.mjs'
import { countCommands, removeRecords } from './redis.mjs'

/** Every request of every benchmark has this body. */
export const body = JSON.stringify({ customer: 'c-1042', amount: 4_999, currency: 'EUR', lines: [{ article: 'a-7', quantity: 2 }, { article: 'a-9', quantity: 1 }] })

/** Replays go round this many keys. */
const replayedKeys = 100

/** Commands are counted over this many requests. */
const sample = 20

/** How long rows that are written behind the requests may take, ms. */
const mirrorTimeout = 15_000

/** One round of one variant. Throws when an answer was not what it had to be. */
export async function measureRound ({ variant, server, load }, { connections, warmup, duration }) {
  const replays = variant.answers === 'replay' ? await sendFirst(urlOf(server), replayedKeys) : null
  const result = await runLoad({ variant, server, load }, { connections, warmup, duration, replays })
  if (replays !== null) await sendAgain(urlOf(server), replays)
  return result
}

/** Runs the load generator and checks what it saw. `cpu`: µs of the server process, all threads, for one request. */
export async function runLoad ({ variant, server, load }, settings) {
  const before = await server.ask('usage')
  const result = await load.ask('run', { url: urlOf(server), body, mark: variant.mark, ...settings })
  const after = await server.ask('usage')
  check(variant, result, after.handled - before.handled, settings.connections)
  return { ...result, cpu: (after.cpu - before.cpu) / result.answered }
}

function check ({ name, answers }, { answered, errors, mismatches, wrongStatus, wrongMark }, handled, connections) {
  assert.deepEqual({ errors, mismatches, wrongStatus, wrongMark }, { errors: 0, mismatches: 0, wrongStatus: 0, wrongMark: 0 }, `${name}: not every answer was right (wrongMark: without its header, so perhaps unprotected)`)
  assert.ok(answered > 0, `${name}: there was no answer`)
  if (answers === 'replay') return assert.equal(handled, 0, `${name}: the handler ran for a replay`)
  // The last request of each connection is cut off.
  assert.ok(handled >= answered && handled <= answered + connections, `${name}: ${answered} answers, but the handler ran ${handled} times`)
}

/**
 * Removes what the variant has written, once each run of its handler since the last time has left one row in each of its tables. Throws when that does
 * not come about: the mirror has dropped records.
 */
export async function clean ({ variant: { name, rows = [] }, server, database }, { redis, prefix }) {
  const deadline = performance.now() + mirrorTimeout
  const before = server.cleaned ?? 0
  for (let earlier = null; ;) {
    const { handled } = await server.ask('usage')
    const found = []
    for (const table of rows) found.push(await countRows(database.pool, table))
    // A request that was cut off may still be at work: nothing may change between two looks.
    if (found.every((count) => count === handled - before) && handled === earlier) break
    assert.ok(performance.now() < deadline, `${name}: the handler ran ${handled - before} times, but ${rows.join(' and ')} have ${found.join(' and ')} rows`)
    earlier = handled
    await delay(50)
  }
  server.cleaned = (await server.ask('usage')).handled
  for (const table of rows) await database.pool.query(`TRUNCATE ${table} CASCADE`)
  await removeRecords(redis, prefix)
}

/** Redis commands of one request, outside and inside scripts. */
export async function countPerRequest ({ variant, server }, { redis, prefix }) {
  const replays = variant.answers === 'replay' ? await sendFirst(urlOf(server), sample) : null
  await sendFirst(urlOf(server), 1) // scripts are loaded now
  const counts = await countCommands(redis, prefix, () => replays === null ? sendFirst(urlOf(server), sample) : sendAgain(urlOf(server), replays))
  return { sent: counts.sent / sample, scripted: counts.scripted / sample }
}

function urlOf ({ address }) {
  return `${address}/orders`
}

/** Sends requests with new keys. Returns each key with its answer. */
export async function sendFirst (url, count) {
  const answers = []
  for (let i = 0; i < count; i++) {
    const key = randomUUID()
    const answer = await send(url, key)
    assert.equal(answer.replayed, null)
    answers.push({ key, body: answer.body })
  }
  return answers
}

/** Sends finished keys once more, each to be answered with its own first answer. */
export async function sendAgain (url, answers) {
  for (const { key, body } of answers) assert.deepEqual(await send(url, key), { replayed: 'true', body })
}

async function send (url, key) {
  const response = await fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json', 'idempotency-key': key } })
  const text = await response.text()
  assert.equal(response.status, 201, text)
  return { replayed: response.headers.get('idempotent-replayed'), body: text }
}
