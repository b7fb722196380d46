import { EventEmitter, once } from 'node:events'
import type { Log } from '../../log.js'
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
  let flushes = 0

  const run = async (): Promise<void> => {
    while (queue.size() > 0 && !closed.aborted) {
      if (queue.size() < maxBatch && flushes === 0) await gathering.wait(flushEvery)
      const pause = await attempt().finally(() => attempts.emit('end'))
      if (pause > 0 && !closed.aborted) await backoff.wait(pause)
    }
  }
  const start = singleRun(run, () => queue.size() > 0 && !closed.aborted, log)
  const wake = (): void => {
    if (flushes > 0 || queue.size() >= maxBatch) gathering.end()
    start()
  }
  const end = (): void => {
    closing.abort()
    attempts.emit('end')
    for (const pause of [gathering, backoff]) pause.end()
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
    end,
    closed
  }
}

/** Starts `run` unless it is under way, and again at its end where something was added after its last look. */
function singleRun (run: () => Promise<void>, isNeeded: () => boolean, log: Log): () => void {
  let isRunning = false
  const start = (): void => {
    if (isRunning) return
    isRunning = true
    run().catch((err: unknown) => { log.error({ err }, 'the mirror failed') }).finally(() => {
      isRunning = false
      if (isNeeded()) start()
    })
  }
  return start
}

interface Pause {
  /** Resolves after `ms`, or when it is ended. Does not hold the process. */
  wait: (ms: number) => Promise<void>
  /** Ends the wait that is under way, if there is one. */
  end: () => void
}

function createPause (): Pause {
  let end = (): void => {}
  return {
    wait: (ms) => new Promise((resolve) => {
      const timer = setTimeout(resolve, ms).unref()
      end = () => {
        clearTimeout(timer)
        resolve()
      }
    }),
    end: () => { end() }
  }
}
