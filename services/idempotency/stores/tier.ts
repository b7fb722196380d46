import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../../log.js'
import type { Observer } from '../observer.js'
import type { Missing, Recall } from './recall.js'
import { isGenerationChanged } from './redis-link.js'
import type { RedisLink } from './redis-link.js'
import { isOutage } from './redis-outage.js'

/** Which store decides claims. `both`: Postgres, and Redis is looked at. */
export type Mode = 'redis' | 'both' | 'postgres'

/** ms */
export interface Timings {
  /** Between two attempts to reach Redis. */
  retryAfter: number
  /** Between the loss of Redis and the first claim in Postgres. Other processes hand over their claims in it: they notice the loss within one probe and one answer's deadline, as this one did. It also lets a connection that was merely reset come back. */
  handOver: number
  /** Between the discovery that Redis lost its data and the next claim there. Every process with claims notices within a probe, and makes them again. */
  reassert: number
  /** How long Postgres still decides after Redis is back: instances do not come back at the same moment. */
  settle: number
  /** Between two looks at Redis while requests run and nothing else asks it. */
  probe: number
}

/** How long claims wait at most for what Postgres has to do first, ms. A Postgres that is away must not keep Redis from being used again. */
const patience = 1_000

export const timings: Timings = { retryAfter: 250, handOver: 500, reassert: 250, settle: 3_000, probe: 100 }

export interface TierOptions {
  link: Pick<RedisLink, 'probe' | 'renew' | 'announce'>
  recall: Recall
  /** Writes to Postgres what only Redis knows. */
  handOver: () => Promise<void>
  /** Makes the claims of this process again in Redis. */
  reassert: () => Promise<void>
  /** Whether requests run. */
  busy: () => boolean
  log: Log
  observer: Observer
  timings: Timings
}

export interface Tier {
  mode: () => Mode
  /** Resolves when claims may be made: after a loss others get the time to hand over. */
  ready: () => Promise<void> | null
  /** Takes what a call of Redis failed with, and resolves when the call can be made again, perhaps elsewhere. Throws it when neither Redis nor its data are gone. */
  failed: (error: unknown) => Promise<void>
  /** Looks for Redis for the first time. */
  open: () => Promise<void>
  close: () => void
}

/** Decides which store decides: a circuit breaker around Redis, whose opening and closing are agreed with the other processes as far as time can. */
export function createTier (options: TierOptions): Tier {
  const { link, recall, log, observer, timings } = options
  const closed = new AbortController()
  let mode: Mode = 'redis'
  let ready: Promise<void> | null = null
  let renewing: Promise<void> | null = null
  let settled: Promise<void> | null = null
  let retelling = false

  const switchTo = (next: Mode): void => {
    mode = next
    observer.state('redis', next === 'postgres' ? 0 : 1)
  }
  const wait = (ms: number): Promise<void> => delay(ms, undefined, { signal: closed.signal, ref: false }).catch(() => {}) // closed: no need to wait
  /** @param done never rejects */
  const pause = (done: Promise<unknown>): Promise<void> => {
    const pausing: Promise<void> = Promise.all([ready, done]).then(() => { if (ready === pausing) ready = null })
    ready = pausing
    return pausing
  }

  const goDown = (err: unknown): Promise<void> => {
    if (mode === 'postgres' || closed.signal.aborted) return ready ?? Promise.resolve()
    switchTo('postgres')
    log.warn({ err }, 'Redis cannot be had: keys are claimed in Postgres')
    const paused = pause(Promise.all([wait(timings.handOver), Promise.race([handOver(), wait(patience)])]))
    comeBack().catch((err: unknown) => { log.error({ err }, 'looking for Redis failed') })
    return paused
  }
  const handOver = async (): Promise<void> => {
    for (let failures = 0; !closed.signal.aborted; failures++) {
      if (mode !== 'postgres') return
      try {
        return await options.handOver()
      } catch (err) {
        if (failures === 0) log.error({ err }, 'running claims cannot be handed over to Postgres: it is tried again')
        await wait(timings.retryAfter)
      }
    }
  }
  const comeBack = async (): Promise<void> => {
    const since = performance.now()
    for (let rest = timings.retryAfter / 4; !closed.signal.aborted; rest = timings.retryAfter) {
      await wait(rest)
      try {
        const lost = await renew()
        await options.reassert()
        const hasDecided = performance.now() - since >= timings.handOver // else no process has claimed anything in Postgres yet
        if (lost || hasDecided) {
          await Promise.race([tell(lost ? 'all' : 'decided'), wait(patience)])
          settle()
        } else switchTo('redis')
        return log.info({}, 'Redis is back')
      } catch (err) {
        log.debug({ err }, 'Redis is still away')
      }
    }
  }
  const settle = (): void => {
    switchTo('both')
    const over = settled = wait(timings.settle)
    over.then(() => { if (settled === over && mode === 'both') switchTo('redis') }, () => {}) // not by the timer of an earlier outage
  }
  /** Lets every other process know, at its next call, that Postgres knows keys that Redis does not. */
  const tell = async (missing: Missing): Promise<void> => {
    recall.expect(missing)
    try {
      const left = await recall.left()
      if (left > 0) await link.announce(left)
    } catch (err) {
      log.warn({ err }, 'other processes could not be told that Redis lacks records: it is tried again')
      if (retelling) return
      retelling = true
      tellLater(wait(timings.settle).then(() => { retelling = false }), missing)
    }
  }
  const tellLater = (when: Promise<void>, missing: Missing): void => {
    when.then(() => closed.signal.aborted ? undefined : tell(missing)).catch((err: unknown) => { log.error({ err }, 'telling other processes failed') })
  }
  /** Whether others have to be told of what it found. */
  const renew = async (): Promise<boolean> => {
    const { changed, lost, recoveryLeft } = await link.renew()
    recall.expectFor(recoveryLeft)
    if (changed || lost) recall.expect('all') // the note may be older than the loss
    if (changed) log.warn({}, 'Redis lost records, or another process found it so: Postgres is asked for keys that are new')
    return lost
  }
  /** Claims wait from now on until every process has made its own again, and its last completions are mirrored. */
  const relearn = async (): Promise<void> => {
    const learned = renew().then(async (lost) => {
      await options.reassert()
      await wait(timings.reassert)
      return lost
    })
    const paused = pause(learned.catch(() => {}))
    if (await learned) tellLater(paused, 'all')
    await paused
  }
  /** Claims wait until it is known whether another process may be working with Postgres now, and after a loss as `relearn` does. */
  const open = async (): Promise<void> => {
    recall.expect('decided')
    // What Postgres has at this moment is older than this Redis: records that come in meanwhile are in both.
    if (await renew()) pause(Promise.all([tell('all'), wait(timings.reassert)])).catch(() => {})
    const asked = recall.left().then((left) => { if (left > 0 && mode === 'redis') settle() }, () => {}) // a claim fails with the same error
    pause(asked).catch(() => {})
  }

  const probe = setInterval(() => {
    if (mode !== 'postgres' && options.busy()) link.probe().catch(failed).catch((err: unknown) => { log.warn({ err }, 'looking at Redis failed') })
  }, timings.probe).unref()
  async function failed (error: unknown): Promise<void> {
    if (isGenerationChanged(error)) await (renewing ??= relearn().catch(goDown).finally(() => { renewing = null }))
    else if (isOutage(error)) await goDown(error)
    else throw error
  }

  return {
    mode: () => mode,
    ready: () => ready,
    failed,
    async open () {
      await open().catch(goDown)
      switchTo(mode)
    },
    close () {
      clearInterval(probe)
      closed.abort()
    }
  }
}
