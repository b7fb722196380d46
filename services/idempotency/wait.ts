import { setTimeout as delay } from 'node:timers/promises'
import type { Ended, StoredRecord } from './record.js'

export interface Watched {
  get: (id: string) => Promise<StoredRecord | null>
  /** Calls `wake` when something may have become of the key. Answers once nothing can be missed any more, with what ends it. */
  subscribe?: (id: string, wake: () => void) => Promise<() => void>
}

/** Pauses between looks, ms: the longer the wait, the longer. */
const shortest = 25
const longest = 500

/** Looks at the record whenever it is woken, and now and then besides, until the claim of `token` has ended. */
export async function untilEnded ({ get, subscribe }: Watched, id: string, token: string, signal: AbortSignal): Promise<Ended> {
  let wake = (): void => {}
  const unsubscribe = await subscribe?.(id, () => { wake() })
  try {
    for (let pause = shortest; ; pause = Math.min(pause * 2, longest)) {
      signal.throwIfAborted()
      const woken = new Promise<void>((resolve) => { wake = resolve }) // before the look, so that nothing is missed in between
      const record = await get(id)
      if (record?.state !== 'running') return record
      if (record.token !== token || record.leaseLeft <= 0) return null
      await either(woken, pause * (0.5 + Math.random()), signal)
    }
  } finally {
    unsubscribe?.()
  }
}

async function either (woken: Promise<void>, pause: number, signal: AbortSignal): Promise<void> {
  const done = new AbortController()
  const timer = delay(pause, undefined, { signal: AbortSignal.any([signal, done.signal]) }).catch(() => {}) // its caller looks at the signal
  await Promise.race([woken, timer])
  done.abort()
}
