import { Worker } from 'bullmq'
import type { Job } from 'bullmq'
import { keysOf, logErrors, openWorkerConnection } from './queues.js'
import type { QueueDeps } from './queues.js'
import { withinTime } from '../within-time.js'

export interface QueueWorkerDeps extends QueueDeps {
  queue: string
  /** Jobs at once. */
  concurrency: number
  /** Never rejects for what is to be tried again: nobody does. */
  process: (job: Job) => Promise<void>
}

export interface QueueWorker {
  /** Takes jobs from now on. */
  start: () => void
  /** Takes no more. One may still come: the process function has to be ready for it. */
  pause: () => void
  /** Ends after `within` ms at most, Redis away or not. For when no job is under way any more, or none is waited for. */
  close: (within: number) => Promise<void>
}

/** The ledger's leases decide who has a run, not these: they only tell how soon a job whose process died comes back. */
const locks = { lockDuration: 10_000, stalledInterval: 5_000 }
/** Wait after a fetch that failed for want of a connection, ms. BullMQ's own is 15 s. */
const runRetryDelay = 1_000

/** Rest after Redis refused a command, ms: full, or read only. BullMQ asks again at once, some 6,700 times a second. */
const refusedDelay = 1_000

/** How long Redis has for the last jobs at a close, ms, which knows no end when it is away. */
const closing = 2_000

/** A BullMQ worker with connections of its own. */
export function createQueueWorker (deps: QueueWorkerDeps): QueueWorker {
  const { queue, prefix, concurrency, process, log } = deps
  const { connection, cut } = openWorkerConnection(deps, queue)
  const worker = new Worker(queue, process, { connection, prefix: keysOf(prefix), autorun: false, concurrency, runRetryDelay, ...locks })
  const onError = logErrors(log, queue)
  const endRests = restWhenRefused(worker, onError)
  worker.on('error', onError)
  worker.on('failed', (_job, error) => { onError(error) })
  return {
    start () { worker.run().catch(onError) }, // resolves at a pause, or at its close
    pause () {
      endRests()
      worker.pause(true).catch(onError)
    },
    async close (within) {
      endRests()
      await withinTime(worker.close().catch(onError), Math.min(within, closing))
      cut()
    }
  }
}

/**
 * Lets a worker fetch nothing for a while when Redis answers it with an error.
 * @returns ends that: it neither rests nor goes on by itself any more.
 */
function restWhenRefused (worker: Worker, onError: (error: Error) => void): () => void {
  let timer: NodeJS.Timeout | undefined
  const rest = (error: Error): void => {
    if (error.name !== 'ReplyError' || worker.isPaused()) return
    worker.pause(true).catch(onError)
    timer = setTimeout(() => { worker.resume().catch(onError) }, refusedDelay).unref()
  }
  worker.on('error', rest)
  return () => {
    worker.off('error', rest)
    clearTimeout(timer)
  }
}
