// A process of the tests: worker.js <url> session|xact|hold <rounds>. It counts with 20 workers, reading before it writes, or takes the lock and keeps it.
import pg from 'pg'
import { createAdvisoryLocks } from '../../../../services/locks/postgres/advisory.js'
import { transactionOf } from '../../../../services/locks/postgres/query.js'
import { createSessionBackend } from '../../../../services/locks/postgres/session-backend.js'
import { withTransactionLock } from '../../../../services/locks/postgres/transaction.js'
import { consoleLog } from '../../../../services/log.js'

const [url = '', mode = '', rounds = '0'] = process.argv.slice(2)
const pool = new pg.Pool({ connectionString: url, max: 20 })
const session = createSessionBackend({ directUrl: url, log: consoleLog })
const locks = createAdvisoryLocks({ session, postgres: pool, log: consoleLog })

async function increment (client: pg.PoolClient): Promise<void> {
  const { rows: [row] } = await client.query<{ n: number }>('SELECT n FROM counted')
  await client.query('UPDATE counted SET n = $1', [(row?.n ?? 0) + 1])
}

const wait = { timeout: 60_000, interval: 20 }

const steps: Record<string, (client: pg.PoolClient) => Promise<void>> = {
  session: (client) => locks.withLock('counter', () => increment(client), wait),
  async xact (client) {
    await client.query('BEGIN')
    await withTransactionLock(transactionOf(client), 'counter', () => increment(client), wait)
    await client.query('COMMIT')
  }
}

async function work (step: (client: pg.PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect()
  for (let round = 0; round < Number(rounds); round++) await step(client)
  client.release()
}

const step = steps[mode]
if (step === undefined) {
  await locks.withLock('counter', async () => {
    console.log('held')
    await new Promise(() => setInterval(() => {}, 60_000))
  })
} else {
  await session.open()
  console.log('ready')
  await Promise.all(Array.from({ length: 20 }, () => work(step)))
}
await session.close()
await pool.end()
