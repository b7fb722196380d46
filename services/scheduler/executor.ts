import type { Pool } from 'pg'
import type { Job } from 'bullmq'
import { createDrain } from './drain.js'
import type { Drain } from './drain.js'
import { startHeartbeat } from './heartbeat.js'
import { createLedger } from './ledger.js'
import type { BegunRun, Ending } from './ledger.js'
import type { Observer, Result } from './observer.js'
import { runsQueue } from './queues.js'
import type { QueueDeps } from './queues.js'
import { createRefusing } from './refusing.js'
import { createRunning, execute, textOf } from './run.js'
import type { RunnableJob, Running } from './run.js'
import { createWriter } from './writer.js'
import type { Writer } from './writer.js'
import { createQueueWorker } from './worker.js'

export interface ExecutorDeps extends QueueDeps {
  pool: Pool
  /** The job of a name; undefined where this process has none. */
  jobOf: (name: string) => RunnableJob | undefined
  /** Called when runs became pending that are due now. */
  onPending: () => void
  /** What this process is called in the ledger. */
  worker: string
  observer?: Observer
  random?: () => number
  /**
   * Runs at once.
   * @default 10
   */
  concurrency?: number
  /**
   * How long a run of a process that died stays its own, ms. Extended every third of it at least, while the process lives.
   * @default 30_000
   */
  lease?: number
  /**
   * How long handlers have to end at a stop, ms, once their signals are aborted. No more than half of the time that the stop has.
   * @default 3_000
   */
  abortGrace?: number
  /**
   * When a run is offered again that this process has no handler for, ms: during a deployment another may have one. After ten offers it takes twice as long, after twenty three times, and so on.
   * @default 5_000
   */
  unknownDelay?: number
}

export interface Executor {
  /** Takes runs from now on. */
  start: () => void
  /**
   * Takes no more runs, lets those under way end, aborts their signals before the deadline (ms from now), and puts back what was interrupted. Resolves by
   * then, with Redis or Postgres away as well.
   * @returns whether every handler had ended. Of one that had not, the run is due again when the lease of this process is past.
   */
  stop: (deadline: number) => Promise<boolean>
  /** Of this process. */
  running: () => number
}

export function createExecutor (deps: ExecutorDeps): Executor {
  const { pool, jobOf, onPending, worker: name, log, concurrency = 10, lease = 30_000, abortGrace = 3_000, unknownDelay = 5_000 } = deps
  const ledger = createLedger(pool)
  const running = new Set<Running>()
  const writer = createWriter({ ledger, lease, log, onPending })
  const drain = createDrain({ running, abortGrace, putBack: writer.finish, log })
  const refuse = createRefusing({ ledger, log, delay: unknownDelay })
  const worker = createQueueWorker({ ...deps, queue: runsQueue, concurrency, process: (job) => drain.track(take(job)) })
  let endHeartbeat = (): void => {}

  /** Rejects where Postgres cannot be had: the run stays enqueued, and is repaired. */
  async function take ({ name: jobName, data: { run: id } }: Job): Promise<void> {
    const job = jobOf(jobName)
    if (drain.isDraining()) return await ledger.release(id)
    if (job === undefined) return await over(await refuse(id, jobName))
    const asked = performance.now()
    const row = await ledger.begin(id, { maxStarts: job.maxStarts, worker: name, lease })
    await (row?.state === 'running' ? run({ deps, running, drain, writer }, createRunning(row, asked + lease, job), job) : over(row))
  }
  /** Of one that is not started: why. */
  async function over (row: BegunRun | null): Promise<void> {
    if (row === null || row.state === 'running') return
    report(deps, row, row.state, null)
    await writer.letGo(row.scheduleId)
  }
  return {
    start () {
      endHeartbeat = startHeartbeat({ ledger, running, lease, log })
      worker.start()
    },
    async stop (deadline) {
      const end = performance.now() + deadline
      worker.pause()
      const isDrained = await drain.drain(deadline)
      writer.close()
      await worker.close(Math.max(0, end - performance.now()))
      endHeartbeat()
      return isDrained
    },
    running: () => running.size
  }
}

interface Context {
  deps: ExecutorDeps
  running: Set<Running>
  drain: Drain
  writer: Writer
}

/** Resolves when the handler has ended: what is written of it then keeps no other run waiting, though it waits for a disk. */
async function run (context: Context, started: Running, job: RunnableJob): Promise<void> {
  const { deps, running, drain } = context
  const begin = performance.now()
  running.add(started)
  const ending = drain.isDraining() ? interrupted : unlessStopping(await outcome(started, job, deps).catch(deadOf), drain) // the stop may have begun while it was started
  started.isEnding = true
  drain.track(end(context, started, ending, performance.now() - begin)).catch((err: unknown) => { deps.log.error({ err, run: started.id }, 'the end of a run could not be written: it runs again when its lease is past') })
}

async function end ({ deps, running, writer }: Context, started: Running, ending: Ending, ms: number): Promise<void> {
  try {
    const isOurs = await writer.finish(started, ending)
    report(deps, started.row, isOurs ? resultOf(ending) : 'lost', ms, ending)
  } finally {
    running.delete(started)
  }
}

const interrupted: Ending = { state: 'pending', error: null, isUncounted: true }

/** Around the handler something threw: the check of its payload, or the log of the application. It would throw again. */
const deadOf = (error: unknown): Ending => ({ state: 'dead', error: textOf(error) })

/** One that fails while the process stops is repeated by another: what it needs may have been taken away here, such as locks, which are not granted any more. */
function unlessStopping (ending: Ending, drain: Drain): Ending {
  return ending.isFailure === true && drain.isDraining() ? { ...interrupted, error: ending.error } : ending
}

async function outcome (started: Running, job: RunnableJob, { log, observer, random = Math.random }: ExecutorDeps): Promise<Ending> {
  const misfit = job.checkPayload?.(started.row.payload) ?? null
  if (misfit !== null) return { state: 'dead', error: `its payload does not fit the schema: ${misfit}` }
  observer?.started(started.row)
  return await execute(started, job, log, random)
}

function report ({ log, observer }: ExecutorDeps, row: BegunRun, result: Result, ms: number | null, ending?: Ending): void {
  observer?.ended(row, result, ms)
  const fields = { run: row.id, job: row.name, attempt: row.starts, error: ending?.error ?? row.error }
  if (result === 'dead') log.error(fields, 'a run is dead')
  else if (result === 'retry') log.warn({ ...fields, delay: ending?.delay }, 'a run failed and is repeated')
  else if (result === 'lost') log.error(fields, 'a run ended too late: another process has it')
}

function resultOf ({ state, isUncounted }: Ending): Result {
  if (state !== 'pending') return state
  return isUncounted === true ? 'interrupted' : 'retry'
}
