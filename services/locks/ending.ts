/** What ends a wait: its deadline, its caller's signal, or a stop of them all. */
export interface Ending {
  readonly why: () => 'deadline' | 'aborted' | null
  /** Why somebody ended it. */
  readonly reason: () => unknown
  /** What comes of the promise, or null where the wait ends first. One at a time. */
  or: <T>(promise: Promise<T>) => Promise<T | null>
  abort: (reason: unknown) => void
  /** Lets go of the timer and of the signal. */
  clear: () => void
}

/** @param wait ms, on the monotonic clock of Node's timers. 0: no deadline */
export function createEnding (wait: number, signal: AbortSignal | undefined): Ending {
  let end: { why: 'deadline' | 'aborted', reason: unknown } | null = null
  let tell = (_: null): void => {}
  const finish = (why: 'deadline' | 'aborted', reason: unknown): void => {
    end ??= { why, reason }
    tell(null)
  }
  const onAbort = (): void => { finish('aborted', signal?.reason) }
  if (signal?.aborted === true) onAbort()
  signal?.addEventListener('abort', onAbort)
  const timer = wait > 0 ? setTimeout(finish, wait, 'deadline', undefined) : undefined
  return {
    why: () => end?.why ?? null,
    reason: () => end?.reason,
    or: (promise) => new Promise((resolve, reject) => {
      if (end === null) tell = resolve
      else resolve(null)
      promise.then(resolve, reject)
    }),
    abort (reason) { finish('aborted', reason) },
    clear () {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
  }
}
