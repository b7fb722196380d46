export interface Pause {
  /** Resolves after `ms`, or when it is ended. Does not hold the process. */
  wait: (ms: number) => Promise<void>
  /** Ends the wait that is under way, if there is one. */
  end: () => void
}

export function createPause (): Pause {
  let end = (): void => {}
  return {
    wait: (ms) => new Promise((resolve) => {
      const timer = setTimeout(resolve, ms).unref()
      end = () => {
        clearTimeout(timer)
        resolve()
      }
    }),
    end: () => { end() }
  }
}
