import type { Attempt, Hold, LockBackend } from './backend.js'
import { createEnding } from './ending.js'
import type { Ending } from './ending.js'
import { FST_LOCKS_ABORTED, FST_LOCKS_TIMEOUT, FST_LOCKS_UNAVAILABLE, lockError } from './errors.js'
import type { LockDetails } from './errors.js'
import { fenced } from './fenced.js'
import type { Log } from '../log.js'
import { createQueue } from './queue.js'
import type { Queue } from './queue.js'

export interface WaitOptions {
  /** ms */
  ttl: number
  /** How long a busy lock is waited for, ms. 0: it is asked for once. */
  wait: number
  /** Ends the wait. */
  signal: AbortSignal | undefined
  /** Between two looks at most, ms. */
  interval: number | undefined
  /** Asks in place of the backend, for a lock of the caller's transaction. Who waits stands in one line with all others. */
  attempt: LockBackend['attempt'] | undefined
  /** Draws a fencing token with the lock, where the backend draws none. */
  nextToken: (() => Promise<bigint>) | null
}

export interface Waited {
  hold: Hold
  details: LockDetails
}

export interface Waiting {
  /** Rejects with FST_LOCKS_TIMEOUT, FST_LOCKS_UNAVAILABLE or FST_LOCKS_ABORTED, and leaves nothing behind then. */
  take: (names: readonly string[], options: WaitOptions) => Promise<Waited>
  waiters: () => number
  /** Ends every wait, those of later too. */
  stop: (reason: unknown) => void
  /** Resolves when what was granted too late is given back. */
  settled: () => Promise<void>
}

interface Asked {
  names: readonly string[]
  ttl: number
  interval: number | undefined
  attempt: LockBackend['attempt']
  /** Nobody but the end of a transaction of the caller's gives back what it is granted too late. */
  inTransaction: boolean
  ending: Ending
  start: number
  attempts: number
  last: Attempt | null
}

/** Pauses between looks, ms: the longer the wait, the longer. They are the net under the wake-ups. */
const shortest = 25
const longest = 500

export interface WaitingDeps {
  backend: LockBackend
  log: Log
}

/** Waits over any backend. */
export function createWaiting (deps: WaitingDeps): Waiting {
  const { backend, log } = deps
  const late = createLate(log)
  const going = new Set<Ending>()
  let stopped: { reason: unknown } | null = null

  const ask = (asked: Asked): Promise<Hold | null> => askOnce(asked, late)
  const lines = createLines(deps, ask)
  return {
    async take (names, { ttl, wait, signal, interval, nextToken, attempt: own }) {
      const attempt = own ?? backend.attempt
      const ending = createEnding(wait, signal)
      const asked: Asked = { names, ttl, interval, attempt: nextToken === null ? attempt : fenced(attempt, nextToken), inTransaction: own !== undefined, ending, start: performance.now(), attempts: 0, last: null }
      going.add(ending)
      if (stopped !== null) ending.abort(stopped.reason)
      try {
        // Who comes while others stand in line stands behind them.
        const first = wait > 0 && lines.has(names) ? null : await ask(asked)
        const hold = first ?? (wait > 0 ? await lines.stand(asked) : null)
        if (hold === null) throw refusal(asked)
        return { hold, details: detailsOf(asked) }
      } finally {
        going.delete(ending)
        ending.clear()
      }
    },
    waiters: lines.waiters,
    stop (reason) {
      stopped = { reason }
      for (const ending of going) ending.abort(reason)
    },
    settled: late.settled
  }
}

/** Asks once, unless the wait has ended. */
async function askOnce (asked: Asked, late: Late): Promise<Hold | null> {
  if (asked.ending.why() !== null) return null
  asked.attempts++
  const attempt = asked.attempt(asked.names, asked.ttl)
  const answer = await asked.ending.or(attempt)
  if (answer !== null) asked.last = answer
  if (asked.ending.why() !== null) {
    if (!asked.inTransaction) late.giveBack(attempt, asked.names) // a statement of the caller's may take as long as it likes
    return null
  }
  return answer?.outcome === 'granted' ? answer.hold : null
}

/** A queue for each set of names that somebody waits for. */
function createLines ({ backend, log }: WaitingDeps, ask: (asked: Asked) => Promise<Hold | null>) {
  const queues = new Map<string, Queue>()
  let waiters = 0
  return {
    has: (names: readonly string[]) => queues.size > 0 && queues.has(keyOf(names)),
    waiters: () => waiters,
    async stand (asked: Asked): Promise<Hold | null> {
      const { names } = asked
      const key = keyOf(names)
      const queue = queues.get(key) ?? createQueue({ backend, names, log, onEmpty: () => { queues.delete(key) } })
      queues.set(key, queue)
      queue.last ??= asked.last
      waiters++
      try {
        await asked.ending.or(queue.join(asked))
        return await lookUntilEnded(queue, asked, ask)
      } finally {
        waiters--
        asked.last ??= queue.last
        queue.leave(asked)
      }
    }
  }
}

type Late = ReturnType<typeof createLate>

/** Gives back what is granted when nobody waits for it any more. */
function createLate (log: Log) {
  const given = new Set<Promise<unknown>>()
  return {
    giveBack (attempt: Promise<Attempt>, names: readonly string[]): void {
      const done = attempt.then((answer) => answer.outcome === 'granted' ? answer.hold.release() : false)
        .catch((err: unknown) => { log.warn({ err, names }, 'a lock that came too late could not be given back: it ends with its ttl') })
        .finally(() => given.delete(done))
      given.add(done)
    },
    async settled (): Promise<void> { await Promise.all(given) }
  }
}

/**
 * Asks whenever it is woken, and now and then besides, soon after a wake-up that led to nothing: who asks for several names may hold one of them for the
 * moment in which another is refused. Right after another one of this process was granted, it waits first.
 */
async function lookUntilEnded (queue: Queue, asked: Asked, ask: (asked: Asked) => Promise<Hold | null>): Promise<Hold | null> {
  const { ending, interval = longest } = asked
  let isTaken = queue.last?.outcome === 'granted'
  const first = Math.min(shortest, interval)
  for (let pause = first; ending.why() === null;) {
    if (!isTaken) {
      queue.arm() // before the look, so that nothing is missed in between
      const hold = await ask(asked)
      queue.last = asked.last ?? queue.last // a look that was cut short has learnt nothing
      if (hold !== null) return hold
    }
    isTaken = false
    const isWoken = await untilWoken(queue, pause * (0.5 + Math.random() / 2), ending)
    pause = isWoken ? first : Math.min(pause * 2, interval)
  }
  return null
}

/** Whether it was woken within the pause, ms, and before the end. */
async function untilWoken (queue: Queue, pause: number, ending: Ending): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<boolean>((resolve) => { timer = setTimeout(resolve, pause, false) })
  const isWoken = await ending.or(Promise.race([queue.woken().then(() => true), over]))
  clearTimeout(timer)
  return isWoken === true
}

function keyOf (names: readonly string[]): string {
  return JSON.stringify(names)
}

function detailsOf ({ names, start, attempts }: Asked): LockDetails {
  return { names, waited: Math.round(performance.now() - start), attempts }
}

function refusal (asked: Asked): Error & LockDetails {
  const { ending, last } = asked
  if (ending.why() === 'aborted') return lockError(FST_LOCKS_ABORTED, detailsOf(asked), ending.reason())
  if (last?.outcome === 'busy' || last?.outcome === 'granted') return lockError(FST_LOCKS_TIMEOUT, detailsOf(asked))
  return lockError(FST_LOCKS_UNAVAILABLE, detailsOf(asked), last?.cause ?? new Error('there was no answer in time'))
}
