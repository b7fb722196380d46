import type { LockBackend } from './backend.js'

type Attempt = LockBackend['attempt']

/** Draws a fencing token with the lock, so that what ends the wait for the one ends it for both, and a lock whose token cannot be had, or came too late, is given back. */
export function fenced (attempt: Attempt, nextToken: () => Promise<bigint>): Attempt {
  return async (...asked) => {
    const answer = await attempt(...asked)
    if (answer.outcome !== 'granted' || answer.hold.token !== undefined) return answer
    try {
      answer.hold.token = await nextToken()
      if (answer.hold.validUntil() > performance.now()) return answer
      throw new Error('the lock was lost before its token came')
    } catch (cause) {
      await answer.hold.release().catch(() => {}) // it ends with its ttl, and the caller is told of the outage
      return { outcome: 'unavailable', cause }
    }
  }
}
