/** A process that boots a whole scheduler when it is told to, and again, for tests of deployments. Its jobs write down in `effects` that they ran. */
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { DefinitionOptions } from '../../../services/scheduler/definition.js'
import { createScheduler } from '../../../services/scheduler/scheduler.js'
import type { OwnedScheduler } from '../../../services/scheduler/scheduler.js'

interface Order {
  /** None: it enqueues, and dies. */
  definitions?: DefinitionOptions[]
  /** The instant at which it declares, ms since the epoch. What it declared before stops first. */
  at: number
}

const { POSTGRES_URL, REDIS_URL = '', PREFIX = '', NAME } = process.env
const pool = new pg.Pool({ connectionString: POSTGRES_URL, max: 5 })
const redis = new Redis(REDIS_URL)
const log = { debug () {}, info () {}, warn: console.error, error: console.error }
const observer = { started () {}, ended () {}, recorded () {}, unreadable () {} }
let owned: OwnedScheduler | null = null

function defined (definitions: DefinitionOptions[]): OwnedScheduler {
  const owned = createScheduler({ pool, redis, prefix: PREFIX, log, observer, isWorker: true, tick: 1_000, concurrency: 3, lease: 5_000, retention: 86_400_000, seeEvery: 100 })
  for (const options of definitions) {
    owned.scheduler.define(options, async ({ id, fence }) => { await pool.query('INSERT INTO effects (run, fence, worker) VALUES ($1, $2, $3)', [id, String(fence), NAME]) })
  }
  return owned
}

async function boot (definitions: DefinitionOptions[], at: number): Promise<void> {
  await owned?.stop(2_000)
  owned = defined(definitions)
  await delay(at - Date.now()) // the others declare at this very moment
  await owned.start()
  await owned.work()
}

/** One run in a transaction that is committed, and one in a transaction that is still open when the process ends. */
async function enqueueAndDie (): Promise<void> {
  const [open, committed] = [await pool.connect(), await pool.connect()]
  for (const [client, payload] of [[open, 'open'], [committed, 'committed']] as const) {
    await client.query('BEGIN')
    await owned?.scheduler.enqueue(client, 'mail', payload)
  }
  await committed.query('COMMIT')
  process.kill(process.pid, 'SIGKILL')
}

process.on('message', ({ definitions, at }: Order) => {
  const done = definitions === undefined ? enqueueAndDie() : boot(definitions, at)
  done.then(() => { process.send?.({ done: true }) }, (error: unknown) => { console.error(error); process.exit(2) })
})
process.send?.({ ready: true })
