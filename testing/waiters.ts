import assert from 'node:assert/strict'
import type { Claim, Ended } from '../services/idempotency/record.js'
import type { IdempotencyStore } from '../services/idempotency/store.js'

/** What `promise` answers, unless that takes longer than `patience`, ms. */
export async function soon<T> (promise: Promise<T>, failure = 'the wait did not end', patience = 1_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const fail = (): void => { reject(new assert.AssertionError({ message: `${failure} within ${patience} ms` })) }
    timer = setTimeout(() => { setImmediate(fail) }, patience) // after replies that came while the process was busy
  })
  return await Promise.race([promise, late]).finally(() => { clearTimeout(timer) })
}

export interface Wait {
  ended: Promise<Ended>
  /** Whether it has. */
  isOver: () => boolean
}

/** A wait for the end of the claim, whose failure is nobody's until `ended` is awaited. */
export function startWait (store: IdempotencyStore, { id, token }: Claim, signal: AbortSignal): Wait {
  let over = false
  const ended = store.waitFor(id, token, signal).finally(() => { over = true })
  ended.catch(() => {}) // its check may have failed before it looks here
  return { ended, isOver: () => over }
}
