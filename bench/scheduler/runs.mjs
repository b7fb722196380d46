import { ratio, median, verdict } from '../report.mjs'

const atMost = 1.3

/** What a load is called, how many jobs at once, what each of them does, and which part of the runs is enough of it. */
const loads = [
  { what: 'that does nothing, 10 at once', concurrency: 10, work: 'nothing', part: 1 },
  { what: 'that does nothing, 50 at once', concurrency: 50, work: 'nothing', part: 1 },
  { what: 'that does nothing, one after the other', concurrency: 1, work: 'nothing', part: 0.2 },
  { what: 'that inserts a row, 10 at once', concurrency: 10, work: 'insert', part: 1 },
  { what: 'that waits 20 ms for something, 10 at once', concurrency: 10, work: 'wait', part: 0.5, isJudged: true }
]

/** A run of the ledger, handed to BullMQ already, beside a job of a bare BullMQ worker with the same handler. */
export async function measureRuns (session, { rounds, runs }) {
  const { url, pool } = await session.database()
  await pool.query('CREATE TABLE bench_rows (id bigint GENERATED ALWAYS AS IDENTITY)')
  const workers = {}
  for (const kind of ['holdfast', 'bullmq']) {
    workers[kind] = session.start('scheduler/runs-worker.mjs')
    await workers[kind].ask('start', { kind, redisUrl: session.redisUrl, databaseUrl: url, prefix: session.prefix })
  }
  const rows = []
  for (const { what, part, isJudged = false, ...load } of loads) {
    const { holdfast, bullmq } = await measureLoad(workers, load, { rounds, count: Math.ceil(runs * part) })
    const wall = ratio(holdfast, bullmq, 'wall')
    const middle = (results) => `${median(results.map(({ wall }) => wall)).toFixed(0)} µs`
    rows.push([`a run / a job of bare BullMQ ${what}`, isJudged ? `≤ ${atMost}` : '', `${wall.toFixed(2)} (${middle(holdfast)}, ${middle(bullmq)}; by CPU ${ratio(holdfast, bullmq, 'cpu').toFixed(2)})`, isJudged ? verdict(wall <= atMost) : ''])
  }
  for (const worker of Object.values(workers)) await worker.ask('end')
  return rows
}

async function measureLoad (workers, load, { rounds, count }) {
  const results = { holdfast: [], bullmq: [] }
  for (let round = 0; round <= rounds; round++) {
    const measured = {}
    // Who comes first alternates, and the first round warms up.
    for (const kind of round % 2 === 0 ? ['holdfast', 'bullmq'] : ['bullmq', 'holdfast']) measured[kind] = await workers[kind].ask('measure', { count, ...load })
    if (round === 0) continue
    for (const [kind, result] of Object.entries(measured)) results[kind].push(result)
    console.error(`round ${round}/${rounds}  ${load.work}, ${load.concurrency} at once: a run ${measured.holdfast.wall.toFixed(0)} µs, a job of BullMQ ${measured.bullmq.wall.toFixed(0)} µs`)
  }
  return results
}
