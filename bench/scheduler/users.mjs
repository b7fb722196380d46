import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { median, verdict, whole } from '../report.mjs'

const name = 'bench.digest'
const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Sydney', 'America/Sao_Paulo', 'Asia/Tokyo', 'Africa/Nairobi']
/** Of all, this part is due at once. */
const dueShare = 4
const atMost = { seconds: 30, megabytes: 150 }
const atLeast = 20_000
/** Node lets garbage of up to three times what is in use lie, unless the heap has an end, MiB: some 25 are in use. */
const heapLimit = 64
/** A look at how far it has come, ms. */
const look = 200
const mebibyte = 1_048_576

/** Schedules of users: one of each, daily at some minute, in some zone. */
export async function measureUsers (session, { schedules, upserts, rounds }) {
  const database = await session.database()
  const rate = await fill(session, database, schedules, upserts)
  const claims = await claimAlone(session, database, rounds)
  const limited = await runAll(session, database, [`--max-old-space-size=${heapLimit}`])
  const free = await runAll(session, database, [])
  const claimed = median(claims)
  const highest = ({ memory }) => whole(memory.highest.rss / mebibyte)
  return [
    [`\`upsert\` of a user's schedule, 16 at a time, ${whole(upserts)} of them`, '', `${whole(rate)}/s`, ''],
    [`claim, ${whole(limited.due)} due of ${whole(schedules)} schedules, nothing else at work`, `≥ ${whole(atLeast)}/s`, `${whole(claimed)}/s (${whole(Math.min(...claims))}–${whole(Math.max(...claims))})`, verdict(claimed >= atLeast)],
    [`${whole(limited.due)} due at one instant, all enqueued`, `≤ ${atMost.seconds} s`, `${limited.enqueued.toFixed(1)} s`, verdict(limited.enqueued <= atMost.seconds)],
    ['all of them run by the same one process', '', `${limited.ended.toFixed(1)} s`, ''],
    [`memory of that process (RSS), highest, with a heap of ${heapLimit} MiB`, `≤ ${atMost.megabytes} MiB`, `${highest(limited)} MiB (${whole(limited.memory.atFirst.rss / mebibyte)} with its modules loaded alone)`, verdict(limited.memory.highest.rss <= atMost.megabytes * mebibyte)],
    ['the same without an end to its heap', '', `${highest(free)} MiB (all enqueued in ${free.enqueued.toFixed(1)} s)`, '']
  ]
}

/** Some through the plugin, at so many a second; the others are copies of these. */
async function fill (session, { url, pool }, schedules, upserts) {
  const worker = session.start('scheduler/worker.mjs')
  await worker.ask('start', { redisUrl: session.redisUrl, databaseUrl: url, prefix: session.prefix, roles: ['web'], jobs: [{ name }] })
  const added = Array.from({ length: upserts }, (_, index) => ({
    owner: `user-${index}`, name, cron: `${index % 60} ${index % 24} * * *`, timezone: zones[index % zones.length], payload: { userId: `user-${index}` }
  }))
  const start = performance.now()
  await worker.ask('upsert', added)
  const rate = upserts / (performance.now() - start) * 1_000
  await worker.ask('end')
  await pool.query(`
    INSERT INTO schedules (name, owner, cron, timezone, payload, hash, next_at)
    SELECT name, owner || '-' || copy, cron, timezone, payload, hash, next_at FROM schedules CROSS JOIN generate_series(1, $1::int) AS copy WHERE owner <> '' LIMIT $2`,
  [Math.ceil(schedules / upserts), schedules - upserts])
  await setDue(pool, null)
  return rate
}

/** A part of the schedules is due at that instant, the others later. Answers how many. */
async function setDue (pool, at) {
  await pool.query('TRUNCATE scheduler_runs')
  const { rowCount } = await pool.query('UPDATE schedules SET next_at = coalesce($2::timestamptz, now() + interval \'20 hours\') WHERE owner <> \'\' AND id % $1 = 0', [dueShare, at])
  await pool.query("UPDATE schedules SET next_at = now() + interval '20 hours' WHERE owner <> '' AND next_at < now() + interval '1 hour' AND id % $1 <> 0", [dueShare])
  await pool.query('VACUUM ANALYZE schedules, scheduler_runs')
  return rowCount
}

/** Rows a second, of each round. */
async function claimAlone (session, { url, pool }, rounds) {
  const worker = session.start('scheduler/claims-worker.mjs')
  await worker.ask('start', { databaseUrl: url })
  const rates = []
  for (let round = 0; round < rounds; round++) {
    const due = await setDue(pool, new Date(Date.now() - 1_000))
    const { count, ms } = await worker.ask('claim')
    assert.equal(count, due, 'not all that was due was claimed')
    assert.equal(await countRuns(pool, 'true'), due, 'not all that was claimed was recorded')
    rates.push(count / ms * 1_000)
    console.error(`round ${round + 1}/${rounds}  ${whole(rates.at(-1))} schedules claimed a second`)
  }
  await worker.ask('end')
  return rates
}

/** From the instant when all are due, s: until all were enqueued, and until all had ended. */
async function runAll (session, { url, pool }, execArgv) {
  const worker = session.start('scheduler/worker.mjs', execArgv)
  const at = new Date(Date.now() + 10_000)
  const due = await setDue(pool, at)
  await worker.ask('start', { redisUrl: session.redisUrl, databaseUrl: url, prefix: `${session.prefix}:users${execArgv.length}`, jobs: [{ name }] })
  if (Date.now() > at.getTime() - 1_000) throw new Error('the schedules were due before the process was ready')
  const ofThen = `tick = '${at.toISOString()}'` // the next ones of some schedules come within minutes
  const enqueued = await secondsUntil(at, async () => await countRuns(pool, `enqueues > 0 AND ${ofThen}`) === due)
  const ended = await secondsUntil(at, async () => await countRuns(pool, `state = 'done' AND ${ofThen}`) === due)
  const ran = await worker.ask('ran')
  assert.equal(new Set(ran).size, ran.length, 'a run was run twice')
  const memory = await worker.ask('memory')
  await worker.ask('end')
  return { enqueued, ended, due, memory }
}

async function secondsUntil (at, isSo) {
  while (!await isSo()) await sleep(look)
  return (Date.now() - at.getTime()) / 1_000
}

async function countRuns (pool, condition) {
  const { rows: [{ count }] } = await pool.query(`SELECT count(*)::int FROM scheduler_runs WHERE ${condition}`)
  return count
}
