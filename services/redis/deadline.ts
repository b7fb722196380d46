/** How long one answer of Redis is waited for, ms. */
export const answerTimeout = 500

/** A timer that fires this much too late, ms, tells of a stall of this process, not of Redis. */
const stall = 50

/** How long the answers that have gathered during a stall are waited for, ms. Other processes did not stall, and wait until this one hands over. */
const grace = 100

/**
 * Rejects when the answer takes too long. A process that wakes from a stall runs its expired timers before it reads the answers that have long
 * been in its socket (a plain timeout of 500 ms failed 17 requests in four stalls of 300 to 800 ms), so a late timer waits a little more.
 */
export function answered<T> (answer: Promise<T>, timeout = answerTimeout): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout
    const arm = (ms: number): void => {
      const due = performance.now() + ms
      timer = setTimeout(() => {
        if (performance.now() - due > stall) arm(grace)
        else reject(new Error(`Redis did not answer within ${timeout} ms`))
      }, ms)
    }
    arm(timeout)
    answer.then(resolve, reject).finally(() => { clearTimeout(timer) })
  })
}
