import type { Ended, StoredRecord } from './record.js'

export interface Watched {
  get: (id: string) => Promise<StoredRecord | null>
  /** Calls `wake` when something may have become of the key. Answers once nothing can be missed any more, with what ends it. */
  subscribe?: (id: string, wake: () => void) => Promise<() => void>
}

/** Pauses between looks, ms: the longer the wait, the longer. The longest keeps well within the second that `holdfast/testing` grants. */
const shortest = 25
const longest = 500

/** Looks at the record whenever it is woken, and now and then besides, until the claim of `token` has ended. An abort does not wait for a look that hangs. */
export async function untilEnded (watched: Watched, id: string, token: string, signal: AbortSignal): Promise<Ended> {
  signal.throwIfAborted()
  const over = new AbortController()
  let abort = (): void => {}
  const aborted = new Promise<void>((resolve) => { abort = resolve })
  // Taken away by hand: Node 20 loses sight of what AbortSignal.any and the `signal` of addEventListener have put on a signal that lives long.
  signal.addEventListener('abort', abort)
  const rejected = aborted.then((): never => { throw signal.reason })
  try {
    return await Promise.race([look(watched, id, token, over.signal), rejected])
  } finally {
    signal.removeEventListener('abort', abort)
    over.abort()
  }
}

/** @param over when it aborts, nobody waits for the answer any more */
async function look ({ get, subscribe }: Watched, id: string, token: string, over: AbortSignal): Promise<Ended> {
  let wake = (): void => {}
  over.addEventListener('abort', () => { wake() })
  const unsubscribe = await subscribe?.(id, () => { wake() })
  try {
    for (let pause = shortest; !over.aborted; pause = Math.min(pause * 2, longest)) {
      const woken = new Promise<void>((resolve) => { wake = resolve }) // before the look, so that nothing is missed in between
      const record = await get(id)
      if (record?.state !== 'running') return record
      if (record.token !== token || record.leaseLeft <= 0) return null
      if (!over.aborted) await wokenWithin(Math.min(pause * (0.5 + Math.random() / 2), record.leaseLeft + 1), woken, wake)
    }
    return null
  } finally {
    unsubscribe?.()
  }
}

async function wokenWithin (ms: number, woken: Promise<void>, wake: () => void): Promise<void> {
  const timer = setTimeout(wake, ms)
  await woken
  clearTimeout(timer)
}
