/** What the promise becomes, or `late` when that takes longer than `ms`, or the signal aborts first. */
export async function before<T> (ms: number, promise: Promise<T>, signal?: AbortSignal): Promise<T | 'late'> {
  if (signal?.aborted === true) return 'late'
  let late = (): void => {}
  const isLate = new Promise<'late'>((resolve) => { late = () => resolve('late') })
  const timer = setTimeout(late, ms)
  signal?.addEventListener('abort', late)
  try {
    return await Promise.race([promise, isLate])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', late)
  }
}
