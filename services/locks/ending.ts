import { createLazySignal } from './lazy-signal.js'

/** What ends a wait: its deadline, its caller's signal, or a stop of them all. */
export interface Ending {
  readonly why: () => 'deadline' | 'aborted' | null
  /** Why somebody ended it. */
  readonly reason: () => unknown
  readonly signal: () => AbortSignal
  /** Resolves, with null, when it has ended. */
  readonly ended: Promise<null>
  abort: (reason: unknown) => void
  /** Lets go of the timer and of the signal. */
  clear: () => void
}

/** @param wait ms, on the monotonic clock of Node's timers. 0: no deadline */
export function createEnding (wait: number, signal: AbortSignal | undefined): Ending {
  const own = createLazySignal()
  let why: 'deadline' | 'aborted' | null = null
  let resolve = (_: null): void => {}
  const ended = new Promise<null>((_resolve) => { resolve = _resolve })
  const end = (cause: 'deadline' | 'aborted', reason: unknown): void => {
    why ??= cause
    own.abort(reason)
    resolve(null)
  }
  const onAbort = (): void => { end('aborted', signal?.reason) }
  if (signal?.aborted === true) onAbort()
  signal?.addEventListener('abort', onAbort)
  const timer = wait > 0 ? setTimeout(end, wait, 'deadline', undefined) : undefined
  return {
    why: () => why,
    reason: () => own.aborted()?.reason,
    signal: own.signal,
    ended,
    abort (reason) { end('aborted', reason) },
    clear () {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
  }
}
