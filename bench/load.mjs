import { randomInt, randomUUID } from 'node:crypto'
import { createHistogram } from 'node:perf_hooks'
import autocannon from 'autocannon'
import { filledBody, filledKey } from './filled.mjs'
import { answerCalls } from './rpc.mjs'

answerCalls({ run })

/**
 * Sends requests over `connections` connections, each its next one when the last was answered, for `warmup` + `duration` seconds; only the
 * answers of the last `duration` are measured, all of them are checked. With `amount` it sends so many requests instead.
 *
 * @param mark name and value of a header that every answer must have, or null
 * @param replays finished keys and their answers, sent in turn; or how many filled ones there are, sent at random; null sends a new key each time
 */
async function run ({ url, body, connections, warmup = 0, duration = 0, amount, mark, replays = null }) {
  const measured = createMeasure(performance.now() + warmup * 1_000, duration * 1_000)
  const checked = createCheck(mark, replays === null)
  const next = createKeys(replays)
  const cpu = process.cpuUsage()
  const started = performance.now()
  const { errors, mismatches } = await autocannon({
    url,
    connections,
    ...(amount === undefined ? { duration: warmup + duration } : { amount }),
    sampleInt: 100,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    verifyBody: checked.body,
    setupClient (client) {
      let asked
      const ask = () => {
        asked = next()
        client.setHeaders({ 'idempotency-key': asked.key })
      }
      ask()
      client.on('headers', checked.head)
      client.on('response', (status, bytes, ms) => {
        measured.record(ms)
        checked.expect(asked.body) // autocannon calls verifyBody right after this
        ask()
      })
    }
  })
  const { user, system } = process.cpuUsage(cpu)
  return { ...measured.result(), busy: (user + system) / 1_000 / (performance.now() - started), errors, mismatches, ...checked.result() }
}

/** Each key with the answer it has to get, null for any. */
function createKeys (replays) {
  if (replays === null) return () => ({ key: randomUUID(), body: null })
  let turn = 0
  if (Array.isArray(replays)) return () => replays[turn++ % replays.length]
  return () => {
    const number = randomInt(replays)
    return { key: filledKey(number), body: filledBody(number) }
  }
}

function createMeasure (from, length) {
  const latencies = createHistogram() // µs: autocannon's own counts whole ms
  let answered = 0
  return {
    record (ms) {
      answered++
      const now = performance.now()
      if (now >= from && now < from + length) latencies.record(Math.max(1, Math.round(ms * 1_000)))
    },
    result: () => ({
      answered,
      rate: latencies.count / length * 1_000,
      p50: latencies.percentile(50) / 1_000,
      p99: latencies.percentile(99) / 1_000
    })
  }
}

/** A replay is to be marked so and to have the body of its own key, any other answer is not to be marked so and to have a body of its own. */
function createCheck (mark, isFirst) {
  let expected = null
  let wrongStatus = 0
  let wrongMark = 0
  return {
    head ({ statusCode, headers }) {
      if (statusCode !== 201) wrongStatus++
      if (mark !== null && headers[headers.indexOf(mark[0]) + 1] !== mark[1]) wrongMark++
      if (isFirst && headers.includes('idempotent-replayed')) wrongMark++
    },
    expect (body) { expected = body },
    body: (text) => expected === null ? text.startsWith('{"id":') : text === expected,
    result: () => ({ wrongStatus, wrongMark })
  }
}
