// A process of the tests: worker.js <url> session|xact|hold <rounds>. It counts with 20 workers, reading before it writes, or takes the lock and keeps it.
import pg from 'pg'
import { createLocks } from '../../../../services/locks/locks.js'
import { noObserver } from '../../../../services/locks/observer.js'
import { createAdvisoryLocks } from '../../../../services/locks/postgres/advisory.js'
import { connectionOf } from '../../../../services/locks/postgres/connection.js'
import { queryOf } from '../../../../services/database/query.js'
import { createRegistry } from '../../../../services/locks/postgres/registry.js'
import { createSessionBackend } from '../../../../services/locks/postgres/session-backend.js'
import { consoleLog as log } from '../../../../services/log.js'

const [url = '', mode = '', rounds = '0'] = process.argv.slice(2)
const pool = new pg.Pool({ connectionString: url, max: 20 })
const session = createSessionBackend({ connection: connectionOf(pool), log })
const { namespace, nextToken } = session
const registry = createRegistry({ query: queryOf(pool), namespace, log })
const locks = createAdvisoryLocks({ locks: createLocks({ backends: [session], nextToken, log, observer: noObserver }), registry, namespace })

async function increment (client: pg.PoolClient): Promise<void> {
  const { rows: [row] } = await client.query<{ n: number }>('SELECT n FROM counted')
  await client.query('UPDATE counted SET n = $1', [(row?.n ?? 0) + 1])
}

const wait = { timeout: 60_000, interval: 20 }

const steps: Record<string, (client: pg.PoolClient) => Promise<void>> = {
  session: (client) => locks.withLock('counter', () => increment(client), wait),
  async xact (transaction) {
    await transaction.query('BEGIN')
    await locks.withLock('counter', () => increment(transaction), { ...wait, transaction })
    await transaction.query('COMMIT')
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
