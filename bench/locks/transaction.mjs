import Fastify from 'fastify'
import pg from 'pg'
import locks from '../../dist/plugins/locks/index.js'
import { median, verdict } from '../report.mjs'

const perRound = 200

/** A transaction of one INSERT with a lock of its own, and without: what it sends, and how long it takes. */
export async function measureTransaction (session, { rounds }) {
  const { url } = await session.database()
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  const app = Fastify()
  await app.register(locks, { postgres: pool })
  await pool.query('CREATE TABLE bench_rows (id bigint GENERATED ALWAYS AS IDENTITY)')
  const client = await pool.connect()
  const insert = () => client.query('INSERT INTO bench_rows DEFAULT VALUES')
  const works = { plain: insert, locked: () => app.locks.advisory.withLock('bench', insert, { transaction: client }) }
  const times = { plain: [], locked: [] }
  const trips = { plain: await roundTrips(client, works.plain), locked: await roundTrips(client, works.locked) }
  for (let round = 0; round < rounds; round++) {
    for (const kind of round % 2 === 0 ? ['plain', 'locked'] : ['locked', 'plain']) times[kind].push(await inTransactions(client, works[kind]))
  }
  client.release()
  await app.close()
  await pool.end()
  const added = trips.locked - trips.plain
  return [
    ['round trips that the lock adds to a transaction', '≤ 1', String(added), verdict(added <= 1)],
    ['a transaction of one INSERT, without it and with it', '', `${median(times.plain).toFixed(2)} ms, ${median(times.locked).toFixed(2)} ms`, '']
  ]
}

/** ms of one. */
async function inTransactions (client, work) {
  const start = performance.now()
  for (let count = 0; count < perRound; count++) await inTransaction(client, work)
  return (performance.now() - start) / perRound
}

async function inTransaction (client, work) {
  await client.query('BEGIN')
  await work()
  await client.query('COMMIT')
}

/** Each statement is sent when the one before was answered. */
async function roundTrips (client, work) {
  const { query } = client
  let count = 0
  client.query = (...args) => {
    count++
    return query.apply(client, args)
  }
  await inTransaction(client, work)
  client.query = query
  return count
}
