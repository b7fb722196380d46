import type { Ended } from './record.js'
import type { WaitLimits } from './settings.js'

export interface Waiting {
  /** Joins the wait for `key`, or starts it. Answers `late` when the time is over or there are too many waiters already. */
  join: (key: string, start: (signal: AbortSignal) => Promise<Ended>, limits: WaitLimits) => Promise<Ended | 'late'>
  /** Requests that wait now. */
  count: () => number
  /** Ends all waits. */
  close: () => void
}

interface Wait {
  ended: Promise<Ended>
  waiters: number
  controller: AbortController
}

/** Duplicates of one process share one wait, and no more of them wait than is allowed. */
export function createWaiting ({ maxWaiters }: { maxWaiters: number }): Waiting {
  const waits = new Map<string, Wait>()
  let count = 0

  const waitFor = (key: string, start: (signal: AbortSignal) => Promise<Ended>): Wait => {
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
    if (waits.get(key) === wait) waits.delete(key)
    wait.controller.abort(new Error('nobody waits any more'))
  }

  return {
    async join (key, start, { waitTimeout, maxWaitersPerKey }) {
      if (count >= maxWaiters || waitTimeout <= 0 || (waits.get(key)?.waiters ?? 0) >= maxWaitersPerKey) return 'late'
      const wait = waitFor(key, start)
      wait.waiters++
      count++
      try {
        return await before(waitTimeout, wait.ended)
      } catch (error) {
        if (wait.controller.signal.aborted) return 'late' // the server stops
        throw error
      } finally {
        leave(key, wait)
      }
    },
    count: () => count,
    close () {
      for (const { controller } of waits.values()) controller.abort(new Error('the server stops'))
    }
  }
}

function before (timeout: number, ended: Promise<Ended>): Promise<Ended | 'late'> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve('late'), timeout).unref()
    ended.then(resolve, reject).finally(() => { clearTimeout(timer) })
  })
}
