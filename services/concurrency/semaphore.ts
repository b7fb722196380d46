import { Semaphore as Slots } from 'async-mutex'
import { between } from '../options.js'
import { abortedError, FST_CONCURRENCY_CLOSED, FST_CONCURRENCY_TIMEOUT } from './errors.js'
import { checkDoor, checkOptions, defaultTimeout, runRules, runWithin } from './work.js'
import type { Door, RunOptions, Work } from './work.js'

export interface SemaphoreSettings {
  /** How errors call it: `semaphore database`. */
  name: string
  size: number
}

export interface SemaphoreRunOptions extends RunOptions {
  /**
   * How many of the slots the work takes.
   * @default 1
   */
  weight?: number
}

export interface Semaphore {
  /**
   * Runs the work when a slot is free, first come, first served, and gives the slot back when the work has ended.
   *
   * @throws what the work throws, FST_CONCURRENCY_TIMEOUT, FST_CONCURRENCY_ABORTED, FST_CONCURRENCY_CLOSED
   */
  run: <T>(work: Work<T>, options?: SemaphoreRunOptions) => Promise<T>
  /** How many wait. */
  waiting: () => number
  /** Begins nothing new and ends the waits of what says that it does not go on while the server closes. What runs is left to end. */
  drain: () => void
  /** The same for all. */
  close: () => void
}

/** What async-mutex grants: how many slots were free, and what gives these back. */
type Turn = readonly [number, () => void]

interface Waiter {
  weight: number
  whileClosing: boolean
  grant: (turn: Turn) => void
  refuse: (error: Error) => void
}

export function createSemaphore ({ name, size }: SemaphoreSettings): Semaphore {
  const rules = { ...runRules, weight: between(1, size, 'slots') }
  const line = createLine(size)
  let door: Door = 'open'

  function endWaits (which: (waiter: Waiter) => boolean): void {
    for (const waiter of line.waiters()) if (which(waiter)) line.leave(waiter, new FST_CONCURRENCY_CLOSED(name))
  }

  return {
    async run (work, options = {}) {
      checkOptions(options, rules, name)
      checkDoor(door, options, name)
      if (options.signal?.aborted === true) throw abortedError(name, options.signal)
      const [, release] = await (line.take(options.weight ?? 1) ?? waitIn(line, options, name)) // in the line before anything else happens: `drain` sees it
      try {
        return await runWithin(work, options, name)
      } finally {
        release()
      }
    },
    waiting: line.waiting,
    drain () {
      if (door === 'open') door = 'draining'
      endWaits(({ whileClosing }) => !whileClosing)
    },
    close () {
      door = 'closed'
      endWaits(() => true)
    }
  }
}

function waitIn (line: Line, { weight = 1, timeout = defaultTimeout, signal, whileClosing = true }: SemaphoreRunOptions, name: string): Promise<Turn> {
  if (timeout === 0) throw new FST_CONCURRENCY_TIMEOUT(name, timeout)
  return new Promise((resolve, reject) => {
    const timer = timeout === Infinity ? undefined : setTimeout(() => { line.leave(waiter, new FST_CONCURRENCY_TIMEOUT(name, timeout)) }, timeout)
    const onAbort = (): void => { if (signal !== undefined) line.leave(waiter, abortedError(name, signal)) }
    const end = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
    const waiter: Waiter = {
      weight,
      whileClosing,
      grant (turn) { end(); resolve(turn) },
      refuse (error) { end(); reject(error) }
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    line.enter(waiter)
  })
}

interface Line {
  /** A slot that is free at once, else null. */
  take: (weight: number) => Promise<Turn> | null
  enter: (waiter: Waiter) => void
  /** Nothing when its turn has come already. */
  leave: (waiter: Waiter, error: Error) => void
  waiters: () => Waiter[]
  waiting: () => number
}

/** Only the first of the line asks async-mutex, which cannot let go of one waiter: it would keep all who left until their turn came. */
function createLine (size: number): Line {
  const slots = new Slots(size)
  const waiters = new Set<Waiter>()
  let asking: Waiter | null = null

  function ask (): void {
    const [first] = waiters
    if (first === undefined || asking !== null) return
    asking = first
    slots.acquire(first.weight).then((turn) => { grant(first, turn) }, () => { /* `leave` has cancelled it */ })
  }

  function grant (waiter: Waiter, turn: Turn): void {
    if (asking === waiter) asking = null
    if (waiters.delete(waiter)) waiter.grant(turn)
    else turn[1]() // it left between its turn and this callback
    ask()
  }

  return {
    take: (weight) => waiters.size === 0 && slots.getValue() >= weight ? slots.acquire(weight) : null,
    enter (waiter) {
      waiters.add(waiter)
      ask()
    },
    leave (waiter, error) {
      if (!waiters.delete(waiter)) return
      if (asking === waiter) {
        asking = null
        slots.cancel()
      }
      waiter.refuse(error)
      ask()
    },
    waiters: () => [...waiters],
    waiting: () => waiters.size
  }
}
