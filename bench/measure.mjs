import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { countCommands } from './redis.mjs'

const body = JSON.stringify({ customer: 'c-1042', amount: 4_999, currency: 'EUR', lines: [{ article: 'a-7', quantity: 2 }, { article: 'a-9', quantity: 1 }] })

/** Replays go round this many keys. */
const replayedKeys = 100

/** Commands are counted over this many requests. */
const sample = 20

/** One round of one variant. Throws when an answer was not what it had to be. */
export async function measureRound ({ variant, server, load, options: { connections, warmup, duration } }) {
  const url = `${server.address}/orders`
  const replays = variant.answers === 'replay' ? await sendFirst(url, replayedKeys) : null
  const before = await server.ask('usage')
  const result = await load.ask('run', { url, body, connections, warmup, duration, mark: variant.mark, replays })
  const after = await server.ask('usage')
  const handled = after.handled - before.handled
  check(variant, result, handled, connections)
  if (replays !== null) await sendAgain(url, replays)
  return { ...result, cpu: (after.cpu - before.cpu) / result.answered }
}

function check ({ name, answers }, { answered, errors, mismatches, wrongStatus, wrongMark }, handled, connections) {
  assert.deepEqual({ errors, mismatches, wrongStatus, wrongMark }, { errors: 0, mismatches: 0, wrongStatus: 0, wrongMark: 0 }, `${name}: not every answer was right (wrongMark: without its header, so perhaps unprotected)`)
  assert.ok(answered > 0, `${name}: there was no answer`)
  if (answers === 'replay') return assert.equal(handled, 0, `${name}: the handler ran for a replay`)
  // The last request of each connection is cut off.
  assert.ok(handled >= answered && handled <= answered + connections, `${name}: ${answered} answers, but the handler ran ${handled} times`)
}

/** Redis commands of one request, outside and inside scripts. */
export async function countPerRequest ({ variant, server, redis, prefix }) {
  const url = `${server.address}/orders`
  const replays = variant.answers === 'replay' ? await sendFirst(url, sample) : null
  await sendFirst(url, 1) // scripts are loaded now
  const counts = await countCommands(redis, prefix, () => replays === null ? sendFirst(url, sample) : sendAgain(url, replays))
  return { sent: counts.sent / sample, scripted: counts.scripted / sample }
}

/** Sends requests with new keys. Returns each key with its answer. */
async function sendFirst (url, count) {
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
async function sendAgain (url, answers) {
  for (const { key, body } of answers) assert.deepEqual(await send(url, key), { replayed: 'true', body })
}

async function send (url, key) {
  const response = await fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json', 'idempotency-key': key } })
  const text = await response.text()
  assert.equal(response.status, 201, text)
  return { replayed: response.headers.get('idempotent-replayed'), body: text }
}
