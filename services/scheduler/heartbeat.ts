import type { Log } from '../log.js'
import type { Ledger } from './ledger.js'
import type { Running } from './run.js'
import { FST_SCHEDULER_RUN_CANCELLED, FST_SCHEDULER_RUN_LOST } from './run-errors.js'

export interface HeartbeatDeps {
  ledger: Pick<Ledger, 'extend'>
  /** Of this process. */
  running: ReadonlySet<Running>
  /** ms */
  lease: number
  log: Log
}

/** A lease is extended before half of it is over, so that one lost beat loses no run; and so often, ms, because a beat hears of a cancelled run as well. */
const beatsPerLease = 3
const longestBeat = 2_000
/** A timer of Node may come so much too early, ms. */
const early = 2

/** Extends the leases of all running runs in one statement, until it is ended. */
export function startHeartbeat (deps: HeartbeatDeps): () => void {
  const { running, lease, log } = deps
  let expiry: NodeJS.Timeout | undefined
  /** Told at once, not with the next beat: another process begins them as soon. */
  function loseExpired (): void {
    clearTimeout(expiry)
    const now = performance.now()
    const lives = [...running].filter(({ leaseEnd }) => leaseEnd > now)
    for (const run of running) if (run.leaseEnd <= now) lose(run, log)
    if (lives.length > 0) expiry = setTimeout(loseExpired, Math.min(...lives.map(({ leaseEnd }) => leaseEnd)) - now + early).unref()
  }
  const timer = setInterval(() => {
    beat(deps).catch((err: unknown) => { log.error({ err }, 'the heartbeat of the runs failed') })
    loseExpired()
  }, Math.min(lease / beatsPerLease, longestBeat)).unref()
  return () => {
    clearInterval(timer)
    clearTimeout(expiry)
  }
}

/** One that hangs does not keep the next from asking anew: to extend twice does no harm. */
async function beat ({ ledger, running, lease, log }: HeartbeatDeps): Promise<void> {
  const runs = [...running]
  if (runs.length === 0) return
  const asked = performance.now()
  try {
    const held = await ledger.extend(runs, lease)
    for (const run of runs) told(run, held.get(run.fence), asked + lease, log)
  } catch (err) {
    log.warn({ err, runs: runs.length }, 'the leases of runs could not be extended')
  }
}

function told (run: Running, isCancelled: boolean | undefined, leaseEnd: number, log: Log): void {
  if (isCancelled === undefined) return lose(run, log)
  run.leaseEnd = Math.max(run.leaseEnd, leaseEnd)
  if (isCancelled) run.controller.abort(new FST_SCHEDULER_RUN_CANCELLED(run.row.name))
}

function lose (run: Running, log: Log): void {
  if (run.isEnding || run.controller.signal.reason instanceof FST_SCHEDULER_RUN_LOST) return
  log.error({ run: run.id, job: run.row.name }, 'a run was lost: another process may have it')
  run.controller.abort(new FST_SCHEDULER_RUN_LOST(run.row.name))
}
