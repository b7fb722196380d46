import { spawn, spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 20

/**
 * Names one process for good: `<pid>-<start time>`. The start time tells it from a later process with the same pid.
 * @returns the empty string when no such process runs; a zombie counts as ended.
 */
export function identify (pid: number): string {
  const [state, started] = process.platform === 'linux' ? readStat(pid) : readPs(pid)
  return started === undefined || state === undefined || /^[ZX]/.test(state) ? '' : `${pid}-${started}`
}

/** Whether the process named by {@link identify} still runs. */
export function isAlive (identity: string): boolean {
  const pid = Number.parseInt(identity, 10)
  return pid > 0 && identify(pid) === identity
}

/** The command line of a process; empty when it cannot be read. */
export function commandLine (pid: number): string {
  if (process.platform === 'linux') return readProc(pid, 'cmdline').replaceAll('\0', ' ')
  return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout
}

/** Fields 3 (state) and 22 (start time) of proc_pid_stat(5); field 2 may hold spaces and parentheses. */
function readStat (pid: number): [state?: string, started?: string] {
  const stat = readProc(pid, 'stat')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return [fields[0], fields[19]]
}

function readProc (pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return '' // gone, or another user's under hidepid
  }
}

function readPs (pid: number): [state?: string, started?: string] {
  const { stdout } = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
  const [state, ...started] = stdout.trim().split(/\s+/)
  return [state === '' ? undefined : state, started.length === 0 ? undefined : started.join('').replace(/\W/g, '')]
}

/** What to run. As root, `uid` and `gid` are the user to run it as. */
export interface Command {
  file: string
  args: string[]
  cwd: string
  env?: Record<string, string>
  uid?: number
  gid?: number
}

/**
 * Starts a process that outlives this one: own session (so a Ctrl-C in the terminal does not reach it), output appended to a file.
 * @param onSpawn runs in the same turn as the spawn, to leave no moment in which the process is not on record.
 * @throws Error when the program cannot be executed.
 */
export async function spawnDaemon ({ file, args, env, ...options }: Command, logFile: string, onSpawn: (pid: number) => void): Promise<void> {
  const output = openSync(logFile, 'a', 0o600)
  try {
    const child = spawn(file, args, { ...options, env: { PATH: process.env.PATH, ...env }, detached: true, stdio: ['ignore', output, output] })
    child.unref()
    if (child.pid !== undefined) return onSpawn(child.pid)
    const [error] = await once(child, 'error')
    throw error
  } finally {
    closeSync(output)
  }
}

/**
 * Ends a process and waits until it is gone.
 * @param signals the polite one, and the one sent when that had no effect for 10 s; 5 s later comes SIGKILL.
 * @throws Error when that has no effect either within 5 s, or when the process belongs to another user.
 */
export async function stopProcess (identity: string, signals: readonly [NodeJS.Signals, NodeJS.Signals]): Promise<void> {
  const [polite, firm] = signals
  for (const [signal, patienceMs] of [[polite, 10_000], [firm, 5_000], ['SIGKILL', 5_000]] as const) {
    send(identity, signal)
    if (await hasEnded(identity, patienceMs)) return
  }
  throw new Error(`process ${Number.parseInt(identity, 10)} does not end`)
}

function send (identity: string, signal: NodeJS.Signals): void {
  try {
    if (isAlive(identity)) process.kill(Number.parseInt(identity, 10), signal)
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error
  }
}

async function hasEnded (identity: string, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (isAlive(identity)) {
    if (performance.now() > deadline) return false
    await sleep(POLL_MS)
  }
  return true
}

/** Whether an error of the operating system has one of these codes. */
export function hasCode (error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code)
}
