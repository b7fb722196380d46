import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../log.js'
import type { Ending, HeldRun, Ledger, Written } from './ledger.js'

export interface WriterDeps {
  ledger: Pick<Ledger, 'finish' | 'finished' | 'promote'>
  /** ms */
  lease: number
  onPending: () => void
  log: Log
}

export interface Writer {
  /**
   * Writes what became of a run, and lets the next one of its schedule go. With Postgres away it tries again for the length of a lease.
   * @returns whether the run was still ours
   * @throws what Postgres failed with at last: the run is taken back once its lease is past
   */
  finish: (run: HeldRun, ending: Ending) => Promise<boolean>
  /** Lets the next one go where nothing of the schedule is active. */
  letGo: (schedule: string | null) => Promise<void>
  /** What cannot be written is not tried again from now on: the pool may be closed. */
  close: () => void
}

/** Between two attempts, ms. */
const pause = 500

export function createWriter ({ ledger, lease, onPending, log }: WriterDeps): Writer {
  let isClosed = false
  async function finish (run: HeldRun, ending: Ending): Promise<Written> {
    let isRepeated = false
    for (const end = performance.now() + lease; ; await delay(pause, undefined, { ref: false })) {
      try {
        const written = await ledger.finish(run, ending)
        return written.isOurs || !isRepeated ? written : await ledger.finished(run, ending)
      } catch (err) {
        isRepeated = true
        if (isClosed || performance.now() + pause > end) throw err
        log.warn({ err, run: run.id }, 'the end of a run could not be written: again soon')
      }
    }
  }
  /** What fails here is repaired at the next tick. */
  async function letGo (schedule: string | null): Promise<void> {
    if (schedule === null) return
    try {
      if (await ledger.promote([schedule]) > 0) onPending()
    } catch (err) {
      log.warn({ err, schedule }, 'the next run of a schedule could not be let go: the next tick does it')
    }
  }
  return {
    letGo,
    close () { isClosed = true },
    async finish (run, ending) {
      const { isOurs, heldBack } = await finish(run, ending)
      if (ending.state !== 'pending') await letGo(heldBack)
      else if ((ending.delay ?? 0) === 0) onPending()
      return isOurs
    }
  }
}
