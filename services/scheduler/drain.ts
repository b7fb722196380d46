import type { Log } from '../log.js'
import type { Ending, HeldRun } from './ledger.js'
import type { Running } from './run.js'
import { FST_SCHEDULER_STOPPING } from './run-errors.js'
import { withinTime } from '../within-time.js'

export interface DrainDeps {
  running: ReadonlySet<Running>
  /** ms */
  abortGrace: number
  putBack: (run: HeldRun, ending: Ending) => Promise<boolean>
  log: Log
}

export interface Drain {
  isDraining: () => boolean
  /** Work that the drain waits for. */
  track: <T>(work: Promise<T>) => Promise<T>
  /** Within so many ms. Whether everything had ended by itself, or when it was asked to. */
  drain: (deadline: number) => Promise<boolean>
}

/** The last part of the time is for what is put back and for closing, ms: no more than a quarter. */
const reserve = 1_000

export function createDrain ({ running, abortGrace, putBack, log }: DrainDeps): Drain {
  const works = new Set<Promise<unknown>>()
  let isDraining = false

  async function ended (within: number): Promise<boolean> {
    const all = (async () => { while (works.size > 0) await Promise.allSettled(works) })()
    return await withinTime(all, within)
  }
  function interrupt (which: (run: Running) => boolean): void {
    for (const run of running) if (which(run)) run.controller.abort(new FST_SCHEDULER_STOPPING(run.row.name))
  }
  /** Its handler still runs here: nobody may start it before our lease is past. Its own write comes too late. */
  async function force (run: Running): Promise<void> {
    if (run.isEnding) return
    run.isEnding = true
    log.warn({ run: run.id, job: run.row.name }, 'a handler did not end when it was asked to: its run goes back when its lease is past')
    await putBack(run, { state: 'pending', error: run.row.error, isUncounted: true, delay: Math.max(1, run.leaseEnd - performance.now()) })
      .catch((err: unknown) => { log.error({ err, run: run.id }, 'a run could not be put back: its lease ends it') })
  }
  return {
    isDraining: () => isDraining,
    track (work) {
      const settled = work.finally(() => { works.delete(settled) })
      works.add(settled)
      return settled
    },
    async drain (deadline) {
      isDraining = true
      const end = performance.now() + deadline - Math.min(reserve, deadline / 4)
      interrupt(({ isInterruptible }) => isInterruptible)
      if (await ended(end - performance.now() - Math.min(abortGrace, deadline / 2))) return true
      interrupt(() => true)
      if (await ended(end - performance.now())) return true
      await withinTime(Promise.all([...running].map(force)), Math.min(reserve, deadline / 4) / 2)
      return false
    }
  }
}
