import { FST_LIFECYCLE_STOPPING, FST_LIFECYCLE_TIMEOUT } from './errors.js'

/** One step of start-up. Its signal aborts with the stop of the server and after the phase's `timeout`. */
export type Step = (signal: AbortSignal) => Promise<unknown> | unknown

export interface AttemptOptions {
  name: string
  stopping: AbortSignal
  /** ms */
  timeout?: number | undefined
}

/**
 * Runs a step. One that does not obey its signal is left behind.
 *
 * @throws what the step throws, FST_LIFECYCLE_STOPPING, FST_LIFECYCLE_TIMEOUT
 */
export async function attempt (step: Step, { name, stopping, timeout }: AttemptOptions): Promise<void> {
  const own = new AbortController()
  let end = (_error: Error): void => {}
  const ended = new Promise<never>((_resolve, reject) => {
    end = (error) => {
      reject(error) // before the step can reject with its own words for it
      own.abort(error)
    }
  })
  const stop = (): void => { end(new FST_LIFECYCLE_STOPPING(`the phase \`${name}\` has ended`)) }
  const timer = timeout === undefined ? undefined : setTimeout(() => { end(new FST_LIFECYCLE_TIMEOUT(name, timeout)) }, timeout)
  stopping.addEventListener('abort', stop)
  try {
    if (stopping.aborted) stop()
    await Promise.race([ended, own.signal.aborted ? null : (async () => { await step(own.signal) })()])
  } finally {
    clearTimeout(timer)
    stopping.removeEventListener('abort', stop)
  }
}
