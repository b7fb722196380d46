import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { until } from '../helper.js'

/** What a client got. Status 0: nothing, the connection broke or the answer took too long. */
export interface Answer {
  status: number
  text: string
  /** The code of a problem. */
  code: string | null
  retryAfter: number | null
  replayed: boolean
  /** The header Idempotency-Status. */
  protection: string | null
}

export interface PostOptions {
  /** Default: `/work`. */
  route?: string
  /** The handler waits until the test opens the key. */
  hold?: boolean
  /** The handler takes so many ms. */
  work?: number
  body?: unknown
  /** How long the client waits, ms. Default: 20,000. */
  timeout?: number
}

/** A process of the application in app.ts. */
export interface Instance {
  base: string
  pid: number
  /** Never rejects. */
  post: (key: string, options?: PostOptions) => Promise<Answer>
  /** Lets the handlers of this process that hold for the key go on, those of now and of later. */
  open: (key: string) => void
  /** How often a handler of this process has started for the key. */
  started: (key: string) => number
  /** How often the signal of such a handler was aborted. */
  aborted: (key: string) => number
  signal: (name: 'SIGSTOP' | 'SIGCONT') => void
  /** Kills it as a crash would, and waits until it is gone. */
  kill: () => Promise<void>
  running: () => boolean
  output: () => string
}

/** Lines of a process's output that a failed test shows. */
const evidence = 40

interface Messages { listening?: number, started?: string, aborted?: string }

/** Starts `count` processes at once; `environment` may differ for each. They are ended with the test, which shows their output if it failed. */
export async function instances (t: Test, count: number, environment: (index: number) => Record<string, string>): Promise<Instance[]> {
  return await Promise.all(Array.from({ length: count }, (_, index) => startInstance(t, environment(index))))
}

async function startInstance (t: Test, environment: Record<string, string>): Promise<Instance> {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [fileURLToPath(new URL('app.js', import.meta.url))],
    { env: { PATH, HOME, ...environment }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  const output = collect(child)
  const running = (): boolean => child.exitCode === null && child.signalCode === null
  const kill = async (): Promise<void> => {
    if (!running()) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  t.teardown(async () => {
    await kill()
    if (!t.passing()) t.comment(`process ${child.pid} said at last:\n${output().split('\n').slice(-evidence).join('\n')}`)
  })
  const events: Messages[] = []
  child.on('message', (event: Messages) => { events.push(event) })
  const port = await until('an instance listens', () => {
    if (!running()) throw new Error(`an instance ended before it listened:\n${output()}`)
    return events.find(({ listening }) => listening !== undefined)?.listening
  }, 30_000)
  const base = `http://127.0.0.1:${port}`
  return {
    base,
    pid: child.pid ?? 0,
    post: (key, options) => post(base, key, options),
    open: (key) => { child.send({ open: key }) },
    started: (key) => events.filter(({ started }) => started === key).length,
    aborted: (key) => events.filter(({ aborted }) => aborted === key).length,
    signal: (name) => { if (running()) child.kill(name) },
    kill,
    running,
    output
  }
}

function collect ({ stdout, stderr }: ChildProcess): () => string {
  let text = ''
  for (const stream of [stdout, stderr]) stream?.on('data', (chunk: Buffer) => { text += chunk.toString() })
  return () => text
}

async function post (base: string, key: string, { route = '/work', hold = false, work, body = {}, timeout = 20_000 }: PostOptions = {}): Promise<Answer> {
  const headers: Record<string, string> = { 'content-type': 'application/json', 'idempotency-key': key }
  if (hold) headers['x-hold'] = 'yes'
  if (work !== undefined) headers['x-work'] = String(work)
  try {
    const response = await fetch(base + route, { method: 'POST', headers, body: JSON.stringify(body), signal: AbortSignal.timeout(timeout) })
    return toAnswer(response, await response.text())
  } catch (error) {
    return { status: 0, text: String(error), code: null, retryAfter: null, replayed: false, protection: null }
  }
}

function toAnswer ({ status, headers }: Response, text: string): Answer {
  const retryAfter = headers.get('retry-after')
  return {
    status,
    text,
    code: status < 400 ? null : (JSON.parse(text) as { code?: string }).code ?? null,
    retryAfter: retryAfter === null ? null : Number(retryAfter),
    replayed: headers.get('idempotent-replayed') === 'true',
    protection: headers.get('idempotency-status')
  }
}
