/** A process that works for the scheduler, for tests that end it. Its jobs write down in `effects` that they ran. */
import pg from 'pg'
import type { Run } from '../../../services/scheduler/run.js'
import { createNode } from './scheduling.js'
import type { NodeOptions } from './scheduling.js'

export interface Message { started?: string, ready?: boolean }

const { POSTGRES_URL, REDIS_URL = '', PREFIX = '', NAME = '', LEASE = '30000', DEADLINE = '3000', LACKS, UNKNOWN_DELAY = '5000' } = process.env
const pool = new pg.Pool({ connectionString: POSTGRES_URL })
pool.on('error', () => {})
pool.on('connect', (client) => client.on('error', () => {}))

let open = (): void => {}
const opened = new Promise<void>((resolve) => { open = resolve })
process.on('message', () => { open() })

async function begun ({ id, fence }: Run): Promise<void> {
  await pool.query('INSERT INTO effects (run, fence, worker) VALUES ($1, $2, $3)', [id, String(fence), NAME])
}

async function aborted (signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
  signal.throwIfAborted()
}

const jobs: NodeOptions['jobs'] = {
  job: { handler: begun },
  hold: { handler: async (run) => { await begun(run); await opened } },
  listen: { handler: async (run) => { await begun(run); await aborted(run.signal) } },
  poison: { maxStarts: 2, handler: async (run) => { await begun(run); process.kill(process.pid, 'SIGKILL'); await opened } }
}
const node = await createNode({
  pool,
  redisUrl: REDIS_URL,
  prefix: PREFIX,
  name: NAME,
  executor: { lease: Number(LEASE), concurrency: 3, unknownDelay: Number(UNKNOWN_DELAY) },
  relay: { repairAfter: 1_000 },
  jobs: Object.fromEntries(Object.entries(jobs).filter(([name]) => name !== LACKS))
})
process.once('SIGTERM', () => {
  node.stop(Number(DEADLINE)).then(async (isDrained) => {
    await pool.end()
    process.exitCode = isDrained ? 0 : 1
    process.disconnect()
  }, (error: unknown) => { console.error(error); process.exit(2) })
})
node.start()
process.send?.({ ready: true })
