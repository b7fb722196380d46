import { randomInt } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode, identify, isAlive, spawnDaemon, stopProcess } from './processes.js'
import type { Command } from './processes.js'

const JOIN_TIMEOUT_MS = 10_000
const START_TIMEOUT_MS = 60_000
const START_ATTEMPTS = 5
const RETRY_MS = 100 // doubled each time
const PORTS_TRIED = 100

/** How one kind of server is started, asked and stopped. */
export interface ServerSpec {
  name: string
  /** Holds the record (`server.json`) and the output (`server.log`). */
  directory: string
  /** A fixed port. Default: the one of the last run when it is free, else any free one. */
  port?: number | undefined
  command: (port: number) => Command | Promise<Command>
  /** Resolves when the server answers. */
  probe: (port: number) => Promise<void>
  stopSignals: readonly [NodeJS.Signals, NodeJS.Signals]
  log: (message: string) => void
}

export interface RunningServer {
  port: number
  pid: number
  /** It ran already. */
  joined: boolean
  stop: () => Promise<void>
}

/** `process` is empty once the server has been stopped; the port is kept for the next start. */
interface ServerRecord { process: string, port: number }

/**
 * Joins the server recorded in the folder when it runs and answers; otherwise starts one.
 * Callers see to it that nobody else does the same in this folder at the same time.
 * @throws Error with the end of the server's output when it does not come up.
 */
export async function startServer (spec: ServerSpec): Promise<RunningServer> {
  const previous = readRecord(spec.directory)
  if (isAlive(previous.process)) {
    const problem = await waitForAnswer(spec, previous, JOIN_TIMEOUT_MS)
    if (problem === null) return running(spec, previous, true)
    spec.log(`${spec.name} (pid ${pidOf(previous)}) does not answer and is replaced: ${problem}`)
    await stopProcess(previous.process, [spec.stopSignals[1], 'SIGKILL'])
  } else if (previous.process !== '') {
    spec.log(`${spec.name} (pid ${pidOf(previous)}) ended without being stopped; it is started again`)
  }
  return running(spec, await start(spec, previous.port), false)
}

async function start (spec: ServerSpec, lastPort: number): Promise<ServerRecord> {
  let problem = ''
  for (let attempt = 0; attempt < START_ATTEMPTS; attempt++) {
    // Fails when the port was taken in between, or while children of a killed Postgres still hold its shared memory.
    if (attempt > 0) await sleep(RETRY_MS * 2 ** attempt)
    const record = await launch(spec, spec.port ?? await freePort(attempt === 0 ? lastPort : 0))
    problem = await waitForAnswer(spec, record, START_TIMEOUT_MS) ?? ''
    if (problem === '') return record
    if (isAlive(record.process)) {
      await stopProcess(record.process, spec.stopSignals)
      break
    }
  }
  throw new Error(`${spec.name} did not start: ${problem}\n${await tail(logFileOf(spec.directory))}`)
}

async function launch (spec: ServerSpec, port: number): Promise<ServerRecord> {
  const record = { process: '', port }
  await spawnDaemon(await spec.command(port), logFileOf(spec.directory), (pid) => {
    record.process = identify(pid)
    writeRecord(spec.directory, record)
  })
  return record
}

/** Whether the server recorded in the folder runs. */
export const isRunning = (directory: string): boolean => isAlive(readRecord(directory).process)

/** Stops the server recorded in the folder, if it runs. */
export async function stopServer (directory: string, stopSignals: ServerSpec['stopSignals']): Promise<void> {
  const { process, port } = readRecord(directory)
  if (process === '') return
  await stopProcess(process, stopSignals)
  writeRecord(directory, { process: '', port })
}

function running (spec: ServerSpec, record: ServerRecord, joined: boolean): RunningServer {
  return {
    port: record.port,
    pid: pidOf(record),
    joined,
    stop: async () => {
      // Somebody may have started the next one since: that one is not ours to stop.
      if (readRecord(spec.directory).process === record.process) await stopServer(spec.directory, spec.stopSignals)
    }
  }
}

async function waitForAnswer (spec: ServerSpec, record: ServerRecord, timeoutMs: number): Promise<string | null> {
  const deadline = performance.now() + timeoutMs
  while (isAlive(record.process)) {
    try {
      await spec.probe(record.port)
      return null
    } catch (error) {
      if (performance.now() > deadline) return `no answer on port ${record.port} for ${timeoutMs} ms (${String(error)})`
    }
    await sleep(30)
  }
  return `it ended while starting on port ${record.port}`
}

/** Below the ports that Linux and macOS give to outgoing connections: one of those would keep a server from starting again on its port. */
const [FIRST_PORT, LAST_PORT] = [20_000, 32_767]

/**
 * A port of 127.0.0.1 that is free now.
 * @param preferred taken when it is free.
 */
export async function freePort (preferred = 0): Promise<number> {
  const ports = [...(preferred === 0 ? [] : [preferred]), ...Array.from({ length: PORTS_TRIED }, () => randomInt(FIRST_PORT, LAST_PORT + 1))]
  for (const port of ports) if (await isFree(port)) return port
  throw new Error(`no free port of 127.0.0.1 among ${PORTS_TRIED} from ${FIRST_PORT} to ${LAST_PORT}`)
}

async function isFree (port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen({ port, host: '127.0.0.1', exclusive: true })
    await once(server, 'listening')
  } catch (error) {
    if (hasCode(error, 'EADDRINUSE', 'EACCES')) return false
    throw error
  }
  server.close()
  await once(server, 'close')
  return true
}

function readRecord (directory: string): ServerRecord {
  try {
    return JSON.parse(readFileSync(join(directory, 'server.json'), 'utf8')) as ServerRecord
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { process: '', port: 0 }
    throw error
  }
}

function writeRecord (directory: string, record: ServerRecord): void {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'server.json.new'), JSON.stringify(record))
  renameSync(join(directory, 'server.json.new'), join(directory, 'server.json'))
}

const pidOf = (record: ServerRecord): number => Number.parseInt(record.process, 10)

const logFileOf = (directory: string): string => join(directory, 'server.log')

const tail = async (file: string): Promise<string> => (await readFile(file, 'utf8')).trimEnd().split('\n').slice(-8).join('\n')
