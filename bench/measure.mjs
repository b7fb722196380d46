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

/** When so many looks at the rows, with such a pause between them (ms), have shown no change, there will be none. */
const looks = 40
const pause = 100

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
 * Removes what the variant has written, once each run of its handler since the last time has left one row in each of its tables. Returns how many rows
 * are missing where the mirror may be late or drop some, because Postgres cannot keep pace; throws where none may be.
 */
export async function clean ({ variant: { name, rows = [], mirrored = false }, server, database }, { redis, prefix }) {
  const found = await settledRows(server, database, rows)
  const runs = found.handled - (server.cleaned ?? 0)
  const missing = Math.max(0, ...found.counts.map((count) => runs - count))
  assert.ok(missing === 0 || mirrored, `${name}: the handler ran ${runs} times, but ${rows.join(' and ')} have ${found.counts.join(' and ')} rows`)
  server.cleaned = found.handled
  for (const table of rows) await database.pool.query(`TRUNCATE ${table} CASCADE`)
  await removeRecords(redis, prefix)
  return missing
}

/** Requests that were cut off are at work for a while, and the mirror is behind: nothing may have changed for a while. */
async function settledRows (server, database, tables) {
  for (let earlier = '', same = 0; ;) {
    const { handled } = await server.ask('usage')
    const counts = []
    for (const table of tables) counts.push(await countRows(database.pool, table))
    const now = `${handled} ${counts}`
    same = now === earlier ? same + 1 : 0
    if (same >= looks || (same > 0 && counts.every((count) => count === handled - (server.cleaned ?? 0)))) return { handled, counts }
    earlier = now
    await delay(pause)
  }
}

/** Redis commands of one request, outside and inside scripts. */
export async function countPerRequest ({ variant, server }, { redis, prefix }) {
  const replays = variant.answers === 'replay' ? await sendFirst(urlOf(server), sample) : null
  await sendFirst(urlOf(server), 1) // scripts are loaded now
  if (replays !== null) await sendAgain(urlOf(server), replays) // and what is replayed from memory is there
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
