import type { Hold } from './backend.js'
import { FST_LOCKS_LOST, lockError } from './errors.js'
import type { LockDetails } from './errors.js'
import type { Grant } from './grant.js'
import { createLazySignal, withSignal } from './lazy-signal.js'
import type { BackendName } from './observer.js'

/** How a grant ended: `unknown` where the backend could not be had, and it ends by itself. */
export type End = 'released' | 'lost' | 'unknown'

/** A lock that was granted. */
export interface Granted {
  readonly grant: Grant
  readonly backend: BackendName
  readonly details: LockDetails
  /** Ends it once; later calls answer the same. Never rejects. */
  end: () => Promise<End>
  /** Tells its holder that it must not count on it any more. */
  lose: (cause: unknown) => void
}

export interface GrantListener {
  lost: (granted: Granted, heldMs: number, cause: unknown) => void
  /** It was given back, or will end by itself. */
  ended: (granted: Granted, heldMs: number) => void
  releaseFailed: (granted: Granted, error: unknown) => void
}

export interface GrantDeps {
  hold: Hold
  backend: BackendName
  details: LockDetails
  listener: GrantListener
}

/** The holder's side of a lock. */
export function createGrant ({ hold, backend, details, listener }: GrantDeps): Granted {
  const [own, start] = [createLazySignal(), performance.now()]
  let ended: Promise<End> | null = null
  const left = (): number => hold.validUntil() - performance.now()
  const isHeld = (): boolean => ended === null && own.aborted() === null && left() > 0
  const lose = (cause: unknown): void => {
    if (own.aborted() !== null || ended !== null) return
    listener.lost(granted, performance.now() - start, cause)
    own.abort(lockError(FST_LOCKS_LOST, details, cause))
  }
  const endNow = async (): Promise<End> => {
    const wasLost = own.aborted() !== null
    const held = performance.now() - start
    const end = await giveBack(hold, (error) => { listener.releaseFailed(granted, error) })
    listener.ended(granted, held)
    if (end === 'lost' && !wasLost) listener.lost(granted, held, new Error('it was not ours any more when it was given back'))
    return wasLost ? 'lost' : end
  }
  const end = (): Promise<End> => {
    if (ended === null && left() <= 0) lose(new Error('its time was over before it was given back'))
    return (ended ??= endNow())
  }
  const grant = withSignal({
    names: details.names,
    token: hold.token ?? null,
    assertHeld () {
      if (isHeld()) return
      lose(notExtended()) // the process was paused, and its timers come later
      throw own.aborted()?.reason ?? lockError(FST_LOCKS_LOST, details, new Error('it was given back'))
    },
    remaining: () => isHeld() ? left() : 0,
    release: async () => await end() === 'released'
  }, own.signal)
  const granted: Granted = { grant, backend, details, end, lose }
  hear(hold, lose)
  return granted
}

function notExtended (): Error {
  return new Error('its time was over before it was extended')
}

function hear ({ lost, onLost }: Hold, lose: (cause: unknown) => void): void {
  onLost?.(lose)
  lost?.addEventListener('abort', () => { lose(lost.reason) }, { once: true })
  if (lost?.aborted === true) lose(lost.reason)
}

async function giveBack (hold: Hold, onFailed: (error: unknown) => void): Promise<End> {
  try {
    return await hold.release() ? 'released' : 'lost'
  } catch (error) {
    onFailed(error)
    return 'unknown'
  }
}
