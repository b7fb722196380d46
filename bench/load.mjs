import { randomUUID } from 'node:crypto'
import { createHistogram } from 'node:perf_hooks'
import autocannon from 'autocannon'
import { answerCalls } from './rpc.mjs'

answerCalls({ run })

/**
 * Sends requests over `connections` connections, each its next one when the last was answered, for `warmup` + `duration` seconds; only the
 * answers of the last `duration` are measured, all of them are checked.
 *
 * @param mark name and value of a header that every answer must have, or null
 * @param replays finished keys and their answers, sent in turn; null sends a new key each time
 */
async function run ({ url, body, connections, warmup, duration, mark, replays }) {
  const measured = createMeasure(performance.now() + warmup * 1_000, duration * 1_000)
  const checked = createCheck(mark, replays)
  const nextKey = createKeys(replays)
  const cpu = process.cpuUsage()
  const started = performance.now()
  const { errors, mismatches } = await autocannon({
    url,
    connections,
    duration: warmup + duration,
    sampleInt: 100,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    verifyBody: checked.body,
    setupClient (client) {
      client.setHeaders({ 'idempotency-key': nextKey() })
      client.on('headers', checked.head)
      client.on('response', (status, bytes, ms) => {
        measured.record(ms)
        client.setHeaders({ 'idempotency-key': nextKey() })
      })
    }
  })
  const { user, system } = process.cpuUsage(cpu)
  return { ...measured.result(), busy: (user + system) / 1_000 / (performance.now() - started), errors, mismatches, ...checked.result() }
}

function createKeys (replays) {
  let turn = 0
  return () => replays === null ? randomUUID() : replays[turn++ % replays.length].key
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

/** A replay is to be marked so and to have one of the stored bodies, any other answer is not to be marked so and to have a body of its own. */
function createCheck (mark, replays) {
  const bodies = new Set(replays?.map(({ body }) => body))
  let wrongStatus = 0
  let wrongMark = 0
  return {
    head ({ statusCode, headers }) {
      if (statusCode !== 201) wrongStatus++
      if (mark !== null && headers[headers.indexOf(mark[0]) + 1] !== mark[1]) wrongMark++
      if (replays === null && headers.includes('idempotent-replayed')) wrongMark++
    },
    body: (text) => replays === null ? text.startsWith('{"id":') : bodies.has(text),
    result: () => ({ wrongStatus, wrongMark })
  }
}
