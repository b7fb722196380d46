import type { Attempt, LockBackend } from './backend.js'
import type { Log } from '../log.js'

/** Those of one process that wait for the same names. Only the first one asks the backend, so that a release wakes one a process and not all. */
export interface Queue {
  /** What the first one was told at last: the others have no other knowledge. */
  last: Attempt | null
  /** Resolves at the next wake-up after `arm`. */
  woken: () => Promise<void>
  arm: () => void
  /** Resolves when the place is the first one. */
  join: (place: Place) => Promise<void>
  leave: (place: Place) => void
}

export type Place = object

export interface QueueDeps {
  backend: LockBackend
  names: readonly string[]
  log: Log
  onEmpty: () => void
}

/** Subscribed from its first place to its last. */
export function createQueue ({ backend, names, log, onEmpty }: QueueDeps): Queue {
  const places = new Map<Place, () => void>()
  let wake = (): void => {}
  let woken = Promise.resolve()
  const arm = (): void => { woken = new Promise((resolve) => { wake = resolve }) }
  const callFirst = (): void => { places.values().next().value?.() }
  arm()
  // What became free before the subscription stood is found by the look that this wakes.
  const subscribed = backend.subscribe?.(names, () => { wake() })
  subscribed?.then(() => { wake() }, (err: unknown) => { log.debug({ err, names }, 'no wake-up is heard: the lock is looked at now and then') })
  return {
    last: null,
    woken: () => woken,
    arm,
    join (place) {
      return new Promise((resolve) => {
        places.set(place, resolve)
        callFirst()
      })
    },
    leave (place) {
      places.delete(place)
      callFirst()
      if (places.size > 0) return
      onEmpty()
      subscribed?.then((end) => { end() }, () => {}) // said above
    }
  }
}
