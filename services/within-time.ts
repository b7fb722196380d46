import { setTimeout as delay } from 'node:timers/promises'

/** Whether the work ended within so many ms. Rejects when it did with an error. */
export async function withinTime (work: Promise<unknown>, ms: number): Promise<boolean> {
  const limit = new AbortController()
  const late = delay(Math.max(0, ms), false, { signal: limit.signal }).catch(() => false)
  try {
    return await Promise.race([work.then(() => true), late])
  } finally {
    limit.abort()
  }
}
