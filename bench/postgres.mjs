import { randomBytes } from 'node:crypto'
import pg from 'pg'

/** One connection at a time is enough for what is done between the rounds. */
export function openPostgres (url) {
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  pool.on('error', (error) => { if (!pool.ending) console.error(`Postgres: ${error.message}`) })
  return pool
}

/** A new database with Holdfast's tables. `pool` is for looking into it; `drop` ends that and removes it. */
export async function createDatabase (postgres, serverUrl) {
  const { createDatabase: open } = await import('../dist/services/database/index.js')
  const { silentLog } = await import('../dist/services/log.js')
  const name = `holdfast_bench_${randomBytes(6).toString('hex')}`
  const url = Object.assign(new URL(serverUrl), { pathname: `/${name}` }).href
  await postgres.query(`CREATE DATABASE ${name}`)
  const pool = openPostgres(url)
  const drop = async () => {
    await pool.end()
    await postgres.query(`DROP DATABASE ${name} WITH (FORCE)`)
  }
  try {
    const database = open({ url, log: silentLog })
    await database.migrate()
    await database.close()
    return { url, pool, drop }
  } catch (error) {
    await drop()
    throw error
  }
}

export async function countRows (pool, table) {
  const { rows: [{ count }] } = await pool.query(`SELECT count(*)::int FROM ${table}`)
  return count
}

export async function describePostgres (pool) {
  const { rows: [{ server_version: version }] } = await pool.query('SHOW server_version')
  return version.split(' ')[0]
}
