import type { Log } from '../../log.js'
import type { Claim, StoredResponse } from '../record.js'
import { createMirrorLog } from './mirror-log.js'
import { createMirrorLoop } from './mirror-loop.js'
import { createMirrorQueue } from './mirror-queue.js'
import { createMirrorWriter } from './mirror-writer.js'
import type { PostgresStore } from './postgres.js'

export interface MirrorOptions {
  postgres: Pick<PostgresStore, 'finish'>
  log: Log
  /** How long completions gather, ms. Default: 25. */
  flushEvery?: number
  /** Completions of one statement at most. Default: 1,000. */
  maxBatch?: number
  /** Completions kept while Postgres cannot be had; beyond them the oldest are dropped. Default: 10,000. */
  maxQueued?: number
  /** A clock in ms that never jumps. Default: `performance.now`. */
  now?: () => number
  /** Called after every batch with the age of its oldest completion. */
  onFlush?: (lagSeconds: number) => void
}

export interface Mirror {
  /** Takes the completion of a claim that Redis has decided. Nothing is waited for. */
  add: (claim: Claim, response: StoredResponse | null) => void
  /** Resolves once everything queued so far is written, or dropped. */
  flush: () => Promise<void>
  /** Writes what is queued, for 5 s at most; the log tells how many were lost. What is added afterwards is dropped. */
  close: () => Promise<void>
  /** `lag`: age of the oldest completion that waits, ms. */
  stats: () => { queued: number, dropped: number, lag: number }
}

/** How long `close` tries, ms. */
const closeTimeout = 5_000

/** Writes completions to Postgres behind the requests: one batch at a time, while the next one gathers. */
export function createMirror ({ postgres, log, flushEvery = 25, maxBatch = 1_000, maxQueued = 10_000, now = () => performance.now(), onFlush = () => {} }: MirrorOptions): Mirror {
  const queue = createMirrorQueue(maxQueued)
  const report = createMirrorLog(log)
  const write = createMirrorWriter(postgres, log, now)
  const loop = createMirrorLoop({ queue, flushEvery, maxBatch, log, attempt })

  async function attempt (): Promise<number> {
    const batch = queue.take(maxBatch)
    const since = batch[0]?.at ?? now()
    try {
      await write(batch)
    } catch (error) {
      report.dropped(queue.putBack())
      return pauseAfter(report.failed(error))
    }
    queue.done()
    report.succeeded(queue.size() === 0)
    onFlush((now() - since) / 1_000)
    return 0
  }

  return {
    add (claim, response) {
      if (loop.closed.aborted) return report.dropped(1)
      report.dropped(queue.add(claim, response, now()))
      loop.wake()
    },
    flush: loop.flush,
    async close () {
      const deadline = setTimeout(loop.end, closeTimeout) // holds the process as long as there is something to write
      while (!loop.closed.aborted && queue.size() > 0) await loop.flush()
      clearTimeout(deadline)
      loop.end()
      if (queue.size() > 0) log.error({ lost: queue.size() }, 'Postgres could not be had: completions were not mirrored')
    },
    stats: () => ({ queued: queue.size(), dropped: report.droppedInAll(), lag: now() - (queue.oldest()?.at ?? now()) })
  }
}

/** ms, with jitter: instances that lost the same Postgres do not come back together. */
function pauseAfter (failures: number): number {
  return Math.min(50 * 2 ** failures, 2_000) * (0.5 + Math.random() / 2)
}
