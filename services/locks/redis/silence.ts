/**
 * How long a node that owes answers may say nothing, ms. Not how long one answer takes: of 10,000 commands sent at once the last answer comes after
 * some 300 ms, and giving it up would only add to the load.
 */
const silence = 250

/** A timer that fires this much too late, ms, tells of a stall of this process: the answers wait in its socket, and are read after its timers. */
const stall = 50
const grace = 100

export interface Silence<Call> {
  begin: (call: Call) => void
  /** Its answer came. False: it had been given up. */
  end: (call: Call) => boolean
}

/** Gives up the calls of a node that was not heard for too long, and those of later at once, until it is heard. */
export function createSilence<Call> (giveUp: (call: Call, error: Error) => void): Silence<Call> {
  const owed = new Set<Call>()
  let silent = false
  let heardAt = 0
  let timer: NodeJS.Timeout | undefined

  const giveUpAll = (): void => {
    silent = true
    for (const call of owed) giveUp(call, new Error(`Redis has not answered for ${silence} ms`))
    owed.clear()
  }
  const watch = (ms: number, isGrace = false): void => {
    const due = performance.now() + ms
    timer = setTimeout(() => {
      timer = undefined
      const left = heardAt + silence - performance.now()
      if (owed.size === 0) return
      if (!isGrace && performance.now() - due > stall) watch(grace, true)
      else if (left > 0) watch(left)
      else giveUpAll()
    }, ms).unref()
  }
  return {
    begin (call) {
      if (owed.size === 0) heardAt = performance.now()
      owed.add(call)
      if (silent) giveUpAll()
      else if (timer === undefined) watch(silence)
    },
    end (call) {
      heardAt = performance.now()
      silent = false
      return owed.delete(call)
    }
  }
}
