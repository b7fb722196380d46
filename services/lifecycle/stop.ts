import { setMaxListeners } from 'node:events'

export interface StopOptions {
  /** From the beginning of the stop to its forced end, ms. */
  deadline: number
  /** So long before the deadline what still runs is told to end, ms. */
  abortGrace: number
  /** Between the 503 of the readiness and the rest of the stop, ms. */
  preStopDelay: number
}

export interface Stop {
  /** Aborts when the stop begins. */
  begun: AbortSignal
  /** Aborts `abortGrace` before the deadline. */
  hurry: AbortSignal
  /** Aborts at the deadline. */
  over: AbortSignal
  /** Begins the stop, once. Resolves after `preStopDelay`. */
  begin: () => Promise<void>
  /** ms since it began, until it ended; null before. */
  duration: () => number | null
  /** The plugins are closed. With `watch` the clock goes on, as long as something else keeps the process alive. */
  end: (watch: boolean) => void
}

/** The clock of a stop. */
export function createStop ({ deadline, abortGrace, preStopDelay }: StopOptions): Stop {
  const [begun, hurry, over] = [new AbortController(), new AbortController(), new AbortController()]
  setMaxListeners(0, begun.signal) // one for each phase
  let timers: NodeJS.Timeout[] = []
  let startedAt: number | null = null
  let endedAt: number | null = null
  let delay: Promise<void> | null = null

  function start (): Promise<void> {
    startedAt = performance.now()
    timers = [setTimeout(() => { hurry.abort(new Error('the deadline of the stop is near')) }, deadline - abortGrace), setTimeout(() => { over.abort() }, deadline)]
    begun.abort()
    return preStopDelay === 0 ? Promise.resolve() : new Promise((resolve) => { setTimeout(resolve, preStopDelay) })
  }

  return {
    begun: begun.signal,
    hurry: hurry.signal,
    over: over.signal,
    begin: () => (delay ??= start()),
    duration: () => startedAt === null ? null : (endedAt ?? performance.now()) - startedAt,
    end (watch) {
      if (!watch) endedAt ??= performance.now()
      for (const timer of timers) watch ? timer.unref() : clearTimeout(timer)
    }
  }
}
