import type { Hold } from './backend.js'
import { FST_LOCKS_LOST, lockError } from './errors.js'
import type { LockDetails } from './errors.js'
import type { Grant } from './grant.js'
import { createLazySignal, withSignal } from './lazy-signal.js'

/** How a grant ended: `unknown` where the backend could not be had, and it ends by itself. */
export type End = 'released' | 'lost' | 'unknown'

export interface Granted {
  grant: Grant
  /** Ends it once; later calls answer the same. Never rejects. */
  end: () => Promise<End>
  /** Tells its holder that it must not count on it any more. */
  lose: (cause: unknown) => void
}

export interface GrantDeps {
  hold: Hold
  details: LockDetails
  token: bigint | null
  onLost: (heldMs: number, cause: unknown) => void
  /** It was given back, or will end by itself. */
  onEnded: (heldMs: number) => void
  onReleaseFailed: (error: unknown) => void
}

/** The holder's side of a lock. A timer of its own aborts the signal at the end of the validity, whatever the backend is doing. */
export function createGrant ({ hold, details, token, onLost, onEnded, onReleaseFailed }: GrantDeps): Granted {
  const [own, start] = [createLazySignal(), performance.now()]
  let stopWatch = (): void => {}
  let ended: Promise<End> | null = null
  const left = (): number => hold.validUntil() - performance.now()
  const isHeld = (): boolean => ended === null && own.aborted() === null && left() > 0
  const lose = (cause: unknown): void => {
    if (own.aborted() !== null || ended !== null) return
    stopWatch()
    onLost(performance.now() - start, cause)
    own.abort(lockError(FST_LOCKS_LOST, details, cause))
  }
  const endNow = async (): Promise<End> => {
    const wasLost = own.aborted() !== null
    stopWatch()
    const held = performance.now() - start
    const end = await giveBack(hold, onReleaseFailed)
    onEnded(held)
    if (end === 'lost' && !wasLost) onLost(held, new Error('it was not ours any more when it was given back'))
    return wasLost ? 'lost' : end
  }
  const end = (): Promise<End> => {
    if (ended === null && left() <= 0) lose(new Error('its time was over before it was given back'))
    return (ended ??= endNow())
  }
  hear(hold, lose)
  stopWatch = watch(left, () => { lose(notExtended()) })
  const grant = withSignal({
    names: details.names,
    token,
    assertHeld () {
      if (isHeld()) return
      lose(notExtended()) // the process was paused, and its timers come later
      throw own.aborted()?.reason ?? lockError(FST_LOCKS_LOST, details, new Error('it was given back'))
    },
    remaining: () => isHeld() ? left() : 0,
    release: async () => await end() === 'released'
  }, own.signal)
  return { grant, end, lose }
}

function notExtended (): Error {
  return new Error('its time was over before it was extended')
}

/** Calls when nothing is left of the validity. Returns what ends that. */
function watch (left: () => number, onOver: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  const look = (): void => {
    if (left() <= 0) onOver()
    else timer = setTimeout(look, Math.max(1, Math.ceil(left()))).unref()
  }
  if (left() !== Infinity) look()
  return () => { clearTimeout(timer) }
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
