import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type pg from 'pg'
import type { Test } from 'tap'
import { redisUrl, testDatabase, testPrefix, until } from '../../helper.js'
import { createPool } from '../../../services/database/pool.js'
import { silentLog } from '../../../services/log.js'

export interface WorkerProcess {
  signal: (name: NodeJS.Signals) => void
  /** Lets its handlers that hold go on. */
  open: () => void
  /** Waits until it has done what it is told. */
  tell: (order: object) => Promise<void>
  running: () => boolean
  /** Waits for its end: its exit code, null for a signal. */
  ended: () => Promise<number | null>
}

export interface Processes {
  pool: pg.Pool
  prefix: string
  /** One of `script`, which is process.ts unless told otherwise. */
  start: (name: string, environment?: Record<string, string>, script?: string) => Promise<WorkerProcess>
  /** Who ran it, in this order. */
  effects: (run: string) => Promise<string[]>
}

/** Real processes over one Postgres and one Redis, which are killed with the test. */
export async function processes (t: Test): Promise<Processes> {
  const url = await testDatabase(t)
  const pool = createPool({ url, size: 3, log: silentLog })
  t.teardown(() => pool.end())
  await pool.query('CREATE TABLE effects (run bigint NOT NULL, fence bigint NOT NULL, worker text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())')
  const prefix = testPrefix()
  const environment = { POSTGRES_URL: url, REDIS_URL: redisUrl(), PREFIX: prefix, LEASE: '1500' }
  return {
    pool,
    prefix,
    start: (name, more = {}, script = 'process.js') => startProcess(t, script, { ...environment, NAME: name, ...more }),
    async effects (run) {
      const { rows } = await pool.query<{ worker: string }>('SELECT worker FROM effects WHERE run = $1 ORDER BY at', [run])
      return rows.map(({ worker }) => worker)
    }
  }
}

async function startProcess (t: Test, script: string, environment: Record<string, string>): Promise<WorkerProcess> {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [fileURLToPath(new URL(script, import.meta.url))],
    { env: { PATH, HOME, ...environment }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => { output += chunk.toString() })
  const exited = once(child, 'exit') as Promise<[number | null]>
  const running = (): boolean => child.exitCode === null && child.signalCode === null
  t.teardown(async () => {
    if (running()) child.kill('SIGKILL')
    await exited
    if (!t.passing()) t.comment(`${environment.NAME} said:\n${output}`)
  })
  let isReady = false
  child.once('message', () => { isReady = true })
  await until(() => `a process is ready; it said ${output}`, () => isReady, 60_000)
  return {
    signal: (name) => { child.kill(name) },
    open: () => { child.send('open') },
    async tell (order) {
      const answered = once(child, 'message')
      child.send(order)
      await Promise.race([answered, exited.then(() => { throw new Error(`a process ended instead; it said ${output}`) })])
    },
    running,
    ended: async () => (await exited)[0]
  }
}
