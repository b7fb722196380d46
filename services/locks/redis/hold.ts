import type { Hold } from '../backend.js'
import type { Quorum } from './quorum.js'

export interface HoldDeps {
  quorum: Quorum
  keys: readonly string[]
  value: string
  ttl: number
  validUntil: number
}

/** How much less than the ttl a lock counts, ms: clocks run apart by some percent at most, and Redis expires by whole ms. */
export function driftOf (ttl: number): number {
  return Math.ceil(ttl * 0.01) + 2
}

/** Extends the lock at every third of its ttl; what could not be had is asked for again sooner, and what is over is never extended. */
export function createHold ({ quorum, keys, value, ttl, validUntil }: HoldDeps): Hold {
  let until = validUntil
  let over = false
  let timer: NodeJS.Timeout
  let tell = (_cause: unknown): void => {}

  const renewIn = (ms: number): void => { timer = setTimeout(() => { renew().catch(lose) }, ms).unref() }
  const renew = async (): Promise<void> => {
    const start = performance.now()
    if (start >= until) return
    const answer = await quorum.extend(keys, value, ttl)
    if (over || performance.now() >= until) return
    if (answer.vote === 'refused') return lose(new Error('its key is gone, or another one\'s'))
    if (answer.vote === 'agreed') until = start + ttl - driftOf(ttl)
    renewIn(answer.vote === 'agreed' ? ttl / 3 : ttl / 10)
  }
  const lose = (cause: unknown): void => {
    over = true
    until = -Infinity
    tell(cause)
  }
  renewIn(ttl / 3)
  return {
    validUntil: () => until,
    onLost (lose) { tell = lose },
    async release () {
      over = true
      clearTimeout(timer)
      const answer = await quorum.release(keys, value)
      if (answer.vote === 'unavailable') throw answer.cause
      return answer.vote === 'agreed'
    }
  }
}
