import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { verdict, whole } from '../report.mjs'
import { percentile } from './percentile.mjs'

const processes = 3
const name = 'bench.tick'
const atMost = { p50: 600, p99: 1_200 }

/** A schedule of each second in three processes. The lag is from the nominal instant to the start, both by the clock of Postgres. */
export async function measureTicks (session, { seconds }) {
  const { url, pool } = await session.database()
  const workers = await Promise.all(Array.from({ length: processes }, async () => {
    const worker = session.start('scheduler/worker.mjs')
    await worker.ask('start', { redisUrl: session.redisUrl, databaseUrl: url, prefix: `${session.prefix}:ticks`, jobs: [{ name, cron: '* * * * * *' }] })
    return worker
  }))
  const { rows: [{ first }] } = await pool.query("SELECT date_trunc('second', now()) + interval '3 s' AS first")
  console.error(`${processes} processes tick for ${seconds} s`)
  await sleep((seconds + 8) * 1_000)
  const { rows: runs } = await pool.query(`
    SELECT id::text, tick, state, starts, worker, (extract(epoch FROM started_at - tick) * 1000)::float8 AS lag FROM scheduler_runs
    WHERE name = $1 AND tick >= $2 AND tick < $2 + $3 * interval '1 s' ORDER BY tick`, [name, first, seconds])
  const ran = (await Promise.all(workers.map((worker) => worker.ask('ran')))).flat()
  for (const worker of workers) await worker.ask('end')
  assert.equal(new Set(runs.map(({ tick }) => tick.getTime())).size, runs.length, 'a tick was recorded twice')
  return rowsOf(runs, ran, seconds)
}

function rowsOf (runs, ran, seconds) {
  const done = runs.filter(({ id, state, starts }) => state === 'done' && starts === 1 && ran.filter((other) => other === id).length === 1)
  const lags = runs.filter(({ lag }) => lag !== null).map(({ lag }) => lag)
  const [p50, p99] = [percentile(lags, 0.5), percentile(lags, 0.99)]
  const workers = [...new Set(runs.map(({ worker }) => worker))]
  const counts = workers.map((name) => runs.filter(({ worker }) => worker === name).length)
  return [
    [`ticks of a schedule of each second, ${processes} processes, ${seconds} s`, `${seconds} ± 1`, String(runs.length), verdict(Math.abs(runs.length - seconds) <= 1)],
    ['of them recorded once and run once', 'all', whole(done.length), verdict(done.length === runs.length)],
    ['run by each process', '', counts.join(', '), ''],
    ['start lag, p50', `≤ ${atMost.p50} ms`, `${whole(p50)} ms`, verdict(p50 <= atMost.p50)],
    ['start lag, p99', `≤ ${whole(atMost.p99)} ms`, `${whole(p99)} ms`, verdict(p99 <= atMost.p99)]
  ]
}
