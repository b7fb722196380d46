/** Resolves after the delay, or with the first signal. Listens for itself: what AbortSignal.any makes is kept by a signal that lives as long as the server. */
export function pause (ms: number, signals: AbortSignal[]): Promise<void> {
  if (signals.some(({ aborted }) => aborted)) return Promise.resolve()
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      for (const signal of signals) signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    for (const signal of signals) signal.addEventListener('abort', end, { once: true })
  })
}
