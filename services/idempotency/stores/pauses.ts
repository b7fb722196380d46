/** What has to be waited for before the next claim. */
export interface Pauses {
  /** Null when nothing has. */
  ready: () => Promise<void> | null
  /** @param done never rejects */
  pause: (done: Promise<unknown>) => Promise<void>
}

/** A later pause never ends an earlier one. */
export function createPauses (): Pauses {
  let ready: Promise<void> | null = null
  return {
    ready: () => ready,
    pause (done) {
      const pausing: Promise<void> = Promise.all([ready, done]).then(() => { if (ready === pausing) ready = null })
      ready = pausing
      return pausing
    }
  }
}
