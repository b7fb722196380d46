import type { Log } from '../../log.js'
import type { Hold } from '../backend.js'
import { FST_LOCKS_LOST, lockError } from '../errors.js'
import type { Grant } from '../grant.js'

/** A session lock has no life of its own: it is held until it is given back or lost. */
export function grantOf (name: string, hold: Hold, log: Log): Grant {
  const start = performance.now()
  const lost = new AbortController()
  let released: Promise<boolean> | undefined
  const lose = (): void => { lost.abort(lockError(FST_LOCKS_LOST, { names: [name], waited: 0, attempts: 1 }, hold.lost?.reason)) }
  const onLost = (): void => {
    if (released !== undefined) return
    log.error({ lock: name, held: performance.now() - start, err: hold.lost?.reason as Error }, 'a lock was lost')
    lose()
  }
  if (hold.lost?.aborted === true) onLost()
  else hold.lost?.addEventListener('abort', onLost, { once: true })
  return {
    names: [name],
    token: hold.token ?? null,
    signal: lost.signal,
    assertHeld () {
      lost.signal.throwIfAborted()
      if (released !== undefined) throw lockError(FST_LOCKS_LOST, { names: [name], waited: 0, attempts: 1 })
    },
    remaining: () => released === undefined ? hold.validUntil() : 0,
    release: () => (released ??= hold.release().catch((err: unknown) => {
      log.warn({ err, lock: name }, 'a lock was not given back, and ends with its session')
      return false
    }))
  }
}
