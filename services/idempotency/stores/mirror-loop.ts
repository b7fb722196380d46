import { EventEmitter, once } from 'node:events'
import type { Log } from '../../log.js'
import { createPause } from './mirror-pause.js'
import type { MirrorQueue } from './mirror-queue.js'

export interface MirrorLoopOptions {
  queue: MirrorQueue
  /** How long completions gather, ms. */
  flushEvery: number
  /** So many need not gather. */
  maxBatch: number
  /** Writes a batch. Resolves with the pause before the next one, ms: 0 when it was written. */
  attempt: () => Promise<number>
  log: Log
}

export interface MirrorLoop {
  /** Called when something was queued. */
  wake: () => void
  /** Writes without a pause for gathering, until all that is queued now is written or dropped. */
  flush: () => Promise<void>
  /** After the attempt that is under way there is no other. */
  end: () => void
  /** Aborted by `end`. */
  closed: AbortSignal
}

/** Runs while something is queued. */
export function createMirrorLoop ({ queue, flushEvery, maxBatch, attempt, log }: MirrorLoopOptions): MirrorLoop {
  const [gathering, backoff] = [createPause(), createPause()]
  const attempts = new EventEmitter().setMaxListeners(0)
  const closing = new AbortController()
  const { signal: closed } = closing
  let [isRunning, flushes] = [false, 0]

  const run = async (): Promise<void> => {
    isRunning = true
    try {
      while (queue.size() > 0 && !closed.aborted) {
        if (queue.size() < maxBatch && flushes === 0) await gathering.wait(flushEvery)
        const pause = await attempt().finally(() => attempts.emit('end'))
        if (pause > 0 && !closed.aborted) await backoff.wait(pause)
      }
    } finally {
      isRunning = false // at once with the look at the queue: what is added next starts a new run
    }
  }
  const wake = (): void => {
    if (flushes > 0 || queue.size() >= maxBatch) gathering.end()
    if (!isRunning) run().catch((err: unknown) => { log.error({ err }, 'the mirror failed') })
  }

  return {
    wake,
    async flush () {
      const last = queue.lastPlace()
      flushes++
      while (!closed.aborted && (queue.oldest()?.place ?? Infinity) <= last) {
        wake()
        await once(attempts, 'end')
      }
      flushes--
    },
    end () {
      closing.abort()
      attempts.emit('end')
      gathering.end()
      backoff.end()
    },
    closed
  }
}
