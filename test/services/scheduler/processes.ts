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
  running: () => boolean
  /** Waits for its end: its exit code, null for a signal. */
  ended: () => Promise<number | null>
}

export interface Processes {
  pool: pg.Pool
  start: (name: string, environment?: Record<string, string>) => Promise<WorkerProcess>
  /** Who ran it, in this order. */
  effects: (run: string) => Promise<string[]>
}

/** Real processes over one Postgres and one Redis, which are killed with the test. */
export async function processes (t: Test): Promise<Processes> {
  const url = await testDatabase(t)
  const pool = createPool({ url, size: 3, log: silentLog })
  t.teardown(() => pool.end())
  await pool.query('CREATE TABLE effects (run bigint NOT NULL, fence bigint NOT NULL, worker text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())')
  const environment = { POSTGRES_URL: url, REDIS_URL: redisUrl(), PREFIX: testPrefix(), LEASE: '1500' }
  return {
    pool,
    start: (name, more = {}) => startProcess(t, { ...environment, NAME: name, ...more }),
    async effects (run) {
      const { rows } = await pool.query<{ worker: string }>('SELECT worker FROM effects WHERE run = $1 ORDER BY at', [run])
      return rows.map(({ worker }) => worker)
    }
  }
}

async function startProcess (t: Test, environment: Record<string, string>): Promise<WorkerProcess> {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), fileURLToPath(new URL('process.ts', import.meta.url))],
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
  await until(() => `a process is ready; it said ${output}`, () => isReady, 30_000)
  return { signal: (name) => { child.kill(name) }, open: () => { child.send('open') }, running, ended: async () => (await exited)[0] }
}
