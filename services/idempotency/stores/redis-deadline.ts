/** How long one answer of Redis is waited for, ms. */
export const answerTimeout = 500

/** A timer that fires this much too late, ms, tells of a stall of this process, not of Redis. */
const stall = 50

/**
 * Rejects when the answer takes too long. A process that wakes from a stall runs its expired timers before it reads the answers that have long
 * been in its socket (a plain timeout of 500 ms failed 17 requests in four stalls of 300 to 800 ms), so a late timer starts anew.
 */
export function answered<T> (answer: Promise<T>, timeout = answerTimeout): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout
    const arm = (): void => {
      const due = performance.now() + timeout
      timer = setTimeout(() => {
        if (performance.now() - due > stall) arm()
        else reject(new Error(`Redis did not answer within ${timeout} ms`))
      }, timeout)
    }
    arm()
    answer.then(resolve, reject).finally(() => { clearTimeout(timer) })
  })
}
