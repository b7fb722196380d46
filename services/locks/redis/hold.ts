import type { Hold } from '../backend.js'
import type { Voters } from './vote.js'

export interface HoldDeps {
  voters: Voters
  keys: readonly string[]
  value: string
  ttl: number
  validUntil: number
}

/** How much less than the ttl a lock counts, ms: clocks run apart by some percent at most, and Redis expires by whole ms. */
export function driftOf (ttl: number): number {
  return Math.ceil(ttl * 0.01) + 2
}

/**
 * Extends the lock at every third of its ttl; what could not be had is asked for again sooner, and what is over is never extended. A timer tells when the
 * validity is over, whatever Redis is doing: while an extension is under way it is one of its own, before that it is the one of the next extension.
 */
export function createHold ({ voters, keys, value, ttl, validUntil }: HoldDeps): Hold {
  let [until, over] = [validUntil, false]
  let next: NodeJS.Timeout
  let end: NodeJS.Timeout | undefined
  let tell = (_cause: unknown): void => {}

  const left = (): number => Math.max(0, Math.ceil(until - performance.now()))
  const renewIn = (ms: number): void => { next = setTimeout(() => { renew().catch(lose) }, Math.min(ms, left())).unref() }
  const renew = async (): Promise<void> => {
    const start = performance.now()
    if (start >= until) return lose(notExtended())
    end = setTimeout(() => { lose(notExtended()) }, left()).unref()
    const answer = await voters.extend(keys, value, ttl)
    if (over) return
    clearTimeout(end)
    if (performance.now() >= until) return lose(notExtended())
    if (answer.vote === 'refused') return lose(new Error('its key is gone, or another one\'s'))
    if (answer.vote === 'agreed') until = start + ttl - driftOf(ttl)
    renewIn(answer.vote === 'agreed' ? ttl / 3 : ttl / 10)
  }
  const stop = (): void => {
    over = true
    clearTimeout(next)
    clearTimeout(end)
  }
  const lose = (cause: unknown): void => {
    stop()
    until = -Infinity
    tell(cause)
  }
  renewIn(ttl / 3)
  return {
    validUntil: () => until,
    onLost (lose) { tell = lose },
    release () {
      stop()
      return giveBack(voters, keys, value)
    }
  }
}

async function giveBack (voters: Voters, keys: readonly string[], value: string): Promise<boolean> {
  const answer = await voters.release(keys, value)
  if (answer.vote === 'unavailable') throw answer.cause
  return answer.vote === 'agreed'
}

function notExtended (): Error {
  return new Error('its time was over before it was extended')
}
