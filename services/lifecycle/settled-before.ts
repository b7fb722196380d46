/** Resolves with true when the promise has settled, and with false when the signal aborts first. Never rejects. */
export async function settledBefore (signal: AbortSignal, promise: Promise<unknown>): Promise<boolean> {
  if (signal.aborted) return false
  let abort = (): void => {}
  const aborted = new Promise<boolean>((resolve) => { abort = () => resolve(false) })
  signal.addEventListener('abort', abort)
  try {
    return await Promise.race([promise.then(() => true, () => true), aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
