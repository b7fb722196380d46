import { before } from './before.js'
import type { Ended } from './record.js'
import type { WaitLimits } from './settings.js'

/** What became of a wait. `late`: its time is over, its client is gone, too many wait already, or the server stops. */
export type Waited = Ended | 'late'

export interface Waiting {
  /**
   * Joins the wait for `key`, or starts it.
   *
   * @param start is told by its signal when nobody waits any more, or the server stops
   * @param gone aborts when the client of this request is gone
   */
  join: (key: string, start: (signal: AbortSignal) => Promise<Waited>, limits: WaitLimits, gone?: () => AbortSignal) => Promise<Waited>
  /** Requests that wait now. */
  count: () => number
  /** Lets nobody wait any more, and tells those who do by the signal of their `start`. */
  close: () => void
}

interface Wait {
  ended: Promise<Waited>
  waiters: number
  controller: AbortController
}

/** Duplicates of one process share one wait, and no more of them wait than is allowed. */
export function createWaiting ({ maxWaiters }: { maxWaiters: number }): Waiting {
  const waits = new Map<string, Wait>()
  let count = 0
  let closed = false

  const waitFor = (key: string, start: (signal: AbortSignal) => Promise<Waited>): Wait => {
    const found = waits.get(key)
    if (found !== undefined) return found
    const controller = new AbortController()
    const wait = { ended: start(controller.signal), waiters: 0, controller }
    waits.set(key, wait)
    return wait
  }
  const leave = (key: string, wait: Wait): void => {
    count--
    if (--wait.waiters > 0) return
    waits.delete(key)
    wait.controller.abort(new Error('nobody waits any more'))
  }

  return {
    async join (key, start, { waitTimeout, maxWaitersPerKey }, gone) {
      if (closed || count >= maxWaiters || waitTimeout <= 0 || (waits.get(key)?.waiters ?? 0) >= maxWaitersPerKey) return 'late'
      const wait = waitFor(key, start)
      wait.waiters++
      count++
      try {
        return await before(waitTimeout, wait.ended, gone?.())
      } finally {
        leave(key, wait)
      }
    },
    count: () => count,
    close () {
      closed = true
      for (const { controller } of waits.values()) controller.abort(new Error('the server stops'))
    }
  }
}
