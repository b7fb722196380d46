import { chmod, mkdir, realpath } from 'node:fs/promises'
import pg from 'pg'
import { serverAccount } from './account.js'
import { POSTGRES_STOP, clearPidFile, initialise, ownerOf, placeCluster, removePlaced } from './cluster.js'
import { findPostgres } from './postgres-binaries.js'
import { isRunning, startServer, stopServer } from './server.js'
import type { RunningServer } from './server.js'

const DATABASE = 'holdfast'
const MAX_CONNECTIONS = 200

export interface StartPostgresOptions {
  /** Made when it is missing. Holds the cluster, its password, the log and the record of the running server. */
  dataDirectory: string
  /** Default: the one of the last run if it is free, else any free one. */
  port?: number
  log?: (message: string) => void
}

export interface PostgresServer extends RunningServer {
  /** Of the database `holdfast`, as the superuser `postgres`, with the password. */
  url: string
}

/**
 * Starts Postgres on 127.0.0.1 as a process that outlives this one, or joins the one that serves this folder already.
 * @throws Error when it cannot be started.
 */
export async function startPostgres ({ dataDirectory, port, log = () => {} }: StartPostgresOptions): Promise<PostgresServer> {
  const directory = await makeDirectory(dataDirectory)
  const system = serverAccount()
  const account = system && (await ownerOf(directory) ?? system)
  const place = await placeCluster(directory, account)
  const binaries = await findPostgres(account, place)
  const { cluster, password } = await initialise(binaries.initdb, directory, place, account)
  const urlOf = (port: number, database: string): string => `postgresql://postgres:${password}@127.0.0.1:${port}/${database}`
  if (!isRunning(directory)) await clearPidFile(cluster)
  const server = await startServer({
    name: 'Postgres',
    directory,
    port,
    command: (port) => ({
      file: binaries.postgres,
      args: ['-D', cluster, ...settings(port)],
      cwd: '/',
      env: { LC_ALL: 'C', TZ: 'UTC' },
      ...account
    }),
    probe: (port) => ensureDatabase(urlOf(port, 'postgres')),
    stopSignals: POSTGRES_STOP,
    log
  })
  return { ...server, url: urlOf(server.port, DATABASE) }
}

function settings (port: number): string[] {
  return Object.entries({
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    timezone: 'UTC',
    log_timezone: 'UTC',
    max_connections: MAX_CONNECTIONS
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

async function ensureDatabase (url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000, query_timeout: 10_000 })
  client.on('error', () => {}) // the pending call rejects too
  try {
    await client.connect()
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE])
    if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`)
  } finally {
    await client.end()
  }
}

/** Stops the Postgres that serves this folder, whoever started it. */
export const stopPostgres = (dataDirectory: string): Promise<void> => stopServer(dataDirectory, POSTGRES_STOP)

/** Removes what a stopped Postgres of this folder keeps outside of it. */
export const removePostgres = (dataDirectory: string): Promise<void> => removePlaced(dataDirectory)

async function makeDirectory (path: string): Promise<string> {
  await mkdir(path, { recursive: true })
  if (process.getuid?.() === 0) await chmod(path, 0o755) // whatever the umask: the server's user has to pass
  return realpath(path)
}
