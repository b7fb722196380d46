import { inspect } from 'node:util'
import type { Log } from '../log.js'
import type { BegunRun, Ending, HeldRun, Progress } from './ledger.js'
import type { PayloadCheck } from './payload-check.js'
import { FST_SCHEDULER_RUN_CANCELLED, FST_SCHEDULER_RUN_LOST, FST_SCHEDULER_RUN_TIMEOUT, FST_SCHEDULER_STOPPING } from './run-errors.js'

/** One run, as its handler gets it. */
export interface Run<Payload = unknown> {
  id: string
  /** Of the job. */
  name: string
  /** Whose schedule it is. Empty: the application's. */
  owner: string
  kind: 'tick' | 'manual' | 'enqueued'
  /** The nominal instant of the tick; of a manual or enqueued one, when it was asked for. */
  scheduledFor: Date
  /** From 1 on. Starts that ended with the process count, those that its stop interrupted do not. */
  attempt: number
  /**
   * Aborts with a reason: FST_SCHEDULER_RUN_TIMEOUT, FST_SCHEDULER_RUN_CANCELLED, FST_SCHEDULER_RUN_LOST or FST_SCHEDULER_STOPPING. A handler that ends early
   * has to throw (`run.signal.throwIfAborted()`): one that returns has done its work.
   */
  signal: AbortSignal
  /** With the run and the job in each line. */
  log: Log
  /** Shown in the history. Written with the next heartbeat. */
  progress: (done: number, total?: number) => void
  /** Grows with every start of any run: a resource that remembers the largest one refuses a late writer. */
  fence: bigint
  payload: Payload
}

/** A job as the executor runs it. */
export interface RunnableJob {
  handler: (run: Run) => unknown
  /** How long a run may take, ms: then its signal aborts. Null: as long as it likes. It stays `running`, and holds others back, until it has ended all the same. */
  timeout: number | null
  /** How often a failed run is repeated. */
  retries: number
  /** Delays between 0 and a bound, ms, that doubles from `minDelay` up to `maxDelay`. */
  backoff: { minDelay: number, maxDelay: number }
  /** Starts of one run, those that died with their process as well, before it is `dead`. */
  maxStarts: number
  /** Is not waited for at a stop. */
  interruptible?: boolean
  checkPayload: PayloadCheck | null
}

/** A run that this process has started. */
export interface Running extends HeldRun {
  row: BegunRun
  controller: AbortController
  /** By the monotonic clock of this process, ms: until then nobody else has it. */
  leaseEnd: number
  /** Is not waited for at a stop. */
  isInterruptible: boolean
  /** Its end is being written: not to find it is no loss. */
  isEnding: boolean
}

const maxErrorLength = 2_000
const largestInteger = 2_147_483_647

export function createRunning (row: BegunRun, leaseEnd: number, { interruptible = false }: RunnableJob): Running {
  return { id: row.id, fence: row.fence, progress: null, row, controller: new AbortController(), leaseEnd, isInterruptible: interruptible, isEnding: false }
}

/** Runs the handler to its end, however long that takes. */
export async function execute (running: Running, job: RunnableJob, log: Log, random: () => number): Promise<Ending> {
  const { row, controller } = running
  const run = runOf(running, log)
  const { timeout } = job
  const expire = (): void => {
    run.log.warn({ timeout }, 'a run takes longer than its timeout: its signal aborts, and it holds others back until it ends')
    controller.abort(new FST_SCHEDULER_RUN_TIMEOUT(row.name, timeout ?? 0))
  }
  const timer = timeout === null ? undefined : setTimeout(expire, timeout)
  try {
    await job.handler(run)
    return { state: 'done', error: null }
  } catch (error) {
    return endingOf(error, running, job, random)
  } finally {
    clearTimeout(timer)
  }
}

function runOf (running: Running, log: Log): Run {
  const { id, name, owner, kind, tick, starts, fence, payload } = running.row
  return {
    id,
    name,
    owner,
    kind,
    scheduledFor: tick,
    attempt: starts,
    signal: running.controller.signal,
    log: log.child?.({ run: id, job: name }) ?? bound(log, { run: id, job: name }),
    progress (done, total) { running.progress = progressOf(done, total) },
    fence: BigInt(fence),
    payload
  }
}

function progressOf (done: number, total?: number): Progress {
  return { done: toInteger(done), total: total === undefined ? null : toInteger(total) }
}

/** One row that Postgres refuses would spoil the heartbeat of all: whatever a handler in JavaScript gives becomes an integer. */
function toInteger (value: unknown): number {
  const number = Number(value)
  return Number.isNaN(number) ? 0 : Math.trunc(Math.min(Math.max(number, 0), largestInteger))
}

function bound (log: Log, context: object): Log {
  const line = (level: Exclude<keyof Log, 'child'>): Log['info'] => (fields, message) => { log[level]({ ...context, ...fields }, message) }
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}

/** What a handler that threw comes to: the first reason of its signal decides. */
function endingOf (error: unknown, { row, controller }: Running, job: RunnableJob, random: () => number): Ending {
  const reason: unknown = controller.signal.reason
  if (reason instanceof FST_SCHEDULER_STOPPING) return { state: 'pending', error: row.error, isUncounted: true }
  if (reason instanceof FST_SCHEDULER_RUN_CANCELLED) return { state: 'cancelled', error: textOf(reason) }
  // Refused where another process has it. Where nobody took it, it is as if its process had died: its start counts, and it has not failed.
  if (reason instanceof FST_SCHEDULER_RUN_LOST) return { state: 'pending', error: textOf(reason) }
  return failed(reason instanceof FST_SCHEDULER_RUN_TIMEOUT ? reason : error, row, job, random)
}

function failed (error: unknown, { failures }: BegunRun, { retries, backoff }: RunnableJob, random: () => number): Ending {
  if (failures >= retries) return { state: 'dead', error: textOf(error), isFailure: true }
  return { state: 'pending', error: textOf(error), isFailure: true, delay: random() * Math.min(backoff.maxDelay, backoff.minDelay * 2 ** failures) }
}

/** Postgres refuses a zero byte in a text. */
export function textOf (error: unknown): string {
  return shown(error).replaceAll('\0', '').slice(0, maxErrorLength)
}

/** Anything can be thrown, also what throws when it is looked at. */
function shown (error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : inspect(error)
  } catch {
    return 'what was thrown cannot be shown'
  }
}
