import type { Log } from '../log.js'
import { stop } from './attempt.js'
import type { Attempt } from './attempt.js'
import type { IdempotencyStore } from './store.js'

export interface HeartbeatOptions {
  store: Pick<IdempotencyStore, 'extend'>
  /** The attempts of this process that were granted and have not ended. */
  running: () => Iterable<Attempt>
  /** Called for each whose claim is another attempt's now. */
  onLost: (attempt: Attempt) => void
  log: Log
  now: () => number
}

export interface Heartbeat {
  /** Sees to it that claims with this lease, ms, are extended in time. */
  cover: (lease: number) => void
  close: () => void
}

/** A lease is extended when a third of it is over, so that one lost beat loses no claim. */
const beatsPerLease = 3

/** Extends the leases of running handlers, all in one call. */
export function createHeartbeat ({ store, running, onLost, log, now }: HeartbeatOptions): Heartbeat {
  let timer: NodeJS.Timeout | null = null
  let shortest = Infinity
  let busy = false

  const due = (): Attempt[] => {
    const time = now()
    return [...running()].filter((attempt) => {
      if (time - attempt.startedAt > attempt.maxExecution) stop(attempt, `the handler runs longer than maxExecution (${attempt.maxExecution} ms)`)
      else return time - attempt.confirmedAt > attempt.claim.lease / beatsPerLease / 2
      return false
    })
  }
  const beat = async (): Promise<void> => {
    const attempts = due()
    if (busy || attempts.length === 0) return
    busy = true
    const asked = now()
    try {
      const held = await store.extend(attempts.map(({ claim }) => claim))
      attempts.forEach((attempt, index) => {
        if (held[index] === true) attempt.confirmedAt = asked
        else onLost(attempt)
      })
    } catch (err) {
      log.warn({ err }, 'the leases of running requests could not be extended')
      for (const attempt of attempts) if (asked - attempt.confirmedAt > attempt.claim.lease) stop(attempt, 'the lease is past and could not be extended')
    } finally {
      busy = false
    }
  }

  return {
    cover (lease) {
      if (lease >= shortest) return
      shortest = lease
      if (timer !== null) clearInterval(timer)
      timer = setInterval(() => { beat().catch((err: unknown) => { log.error({ err }, 'the heartbeat failed') }) }, Math.max(1, lease / beatsPerLease)).unref()
    },
    close () {
      if (timer !== null) clearInterval(timer)
    }
  }
}
