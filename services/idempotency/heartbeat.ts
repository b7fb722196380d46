import type { Log } from '../log.js'
import { leaseLeft, stop } from './attempt.js'
import type { Attempt } from './attempt.js'
import type { IdempotencyStore } from './store.js'

export interface HeartbeatOptions {
  store: Pick<IdempotencyStore, 'extend'>
  /** The attempts of this process that were granted and are not being finished or given back. */
  running: () => Iterable<Attempt>
  /** Called for each whose claim is another attempt's now. */
  onLost: (attempt: Attempt) => void
  /** Called for each that ran longer than it may, once its last lease is past. */
  onOver: (attempt: Attempt) => void
  log: Log
  now: () => number
}

export interface Heartbeat {
  /** Sees to it that claims with this lease, ms, are extended in time. */
  cover: (lease: number) => void
  close: () => void
}

/** A lease is extended before half of it is over, so that one lost beat loses no claim. */
const beatsPerLease = 3

/** Extends the leases of running handlers, all in one call. */
export function createHeartbeat (options: HeartbeatOptions): Heartbeat {
  const { log } = options
  let timer: NodeJS.Timeout | null = null
  let shortest = Infinity

  return {
    cover (lease) {
      if (lease >= shortest) return
      shortest = lease
      if (timer !== null) clearInterval(timer)
      timer = setInterval(() => { beat(options).catch((err: unknown) => { log.error({ err }, 'the heartbeat failed') }) }, Math.max(1, lease / beatsPerLease)).unref()
    },
    close () {
      shortest = 0
      if (timer !== null) clearInterval(timer)
    }
  }
}

/** A call that hangs does not keep the next beat from asking anew: to extend twice does no harm. */
async function beat ({ store, running, onLost, onOver, log, now }: HeartbeatOptions): Promise<void> {
  const asked = now()
  const attempts = [...running()].filter((attempt) => isDue(attempt, asked, onOver))
  if (attempts.length === 0) return
  for (const attempt of attempts) attempt.asked = true
  try {
    const held = await store.extend(attempts.map(({ claim }) => claim))
    attempts.forEach((attempt, index) => { told(attempt, held[index] === true, asked, onLost) })
  } catch (err) {
    log.warn({ err }, 'the leases of running requests could not be extended')
    const time = now()
    for (const attempt of attempts) if (leaseLeft(attempt, time) < 0) stopUnextended(attempt)
  }
}

function isDue (attempt: Attempt, time: number, onOver: HeartbeatOptions['onOver']): boolean {
  const left = leaseLeft(attempt, time)
  if (time - attempt.startedAt > attempt.maxExecution) {
    stop(attempt, `the handler runs longer than maxExecution (${attempt.maxExecution} ms)`)
    if (left < 0) onOver(attempt)
    return false
  }
  if (left < 0 && attempt.asked) stopUnextended(attempt)
  return left < attempt.claim.lease * (1 - 0.5 / beatsPerLease)
}

function told (attempt: Attempt, held: boolean, asked: number, onLost: HeartbeatOptions['onLost']): void {
  if (attempt.closing) return // it was finished or given back in the meantime, by ourselves
  if (!held) return onLost(attempt)
  attempt.confirmedAt = Math.max(attempt.confirmedAt ?? 0, asked)
  attempt.asked = false
}

function stopUnextended (attempt: Attempt): void {
  stop(attempt, 'the lease is past and could not be extended')
}
