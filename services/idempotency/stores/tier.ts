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

export const timings: Timings = { retryAfter: 250, handOver: 300, reassert: 250, settle: 3_000, probe: 100 }

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

  const switchTo = (next: Mode): void => {
    mode = next
    observer.state('redis', next === 'postgres' ? 0 : 1)
  }
  const wait = (ms: number): Promise<void> => delay(ms, undefined, { signal: closed.signal, ref: false }).catch(() => {}) // closed: no need to wait
  const pause = (done: Promise<unknown>): Promise<void> => {
    const pausing: Promise<void> = done.then(() => { if (ready === pausing) ready = null })
    ready = pausing
    return pausing
  }

  const goDown = (err: unknown): Promise<void> => {
    if (mode === 'postgres' || closed.signal.aborted) return ready ?? Promise.resolve()
    switchTo('postgres')
    log.warn({ err }, 'Redis cannot be had: keys are claimed in Postgres')
    const paused = pause(Promise.all([wait(timings.handOver), options.handOver().catch((err: unknown) => { log.error({ err }, 'running claims could not be handed over to Postgres') })]))
    comeBack().catch((err: unknown) => { log.error({ err }, 'looking for Redis failed') })
    return paused
  }
  const comeBack = async (): Promise<void> => {
    const since = performance.now()
    for (let rest = timings.retryAfter / 4; !closed.signal.aborted; rest = timings.retryAfter) {
      await wait(rest)
      try {
        await renew()
        await options.reassert()
        const settling = performance.now() - since >= timings.handOver // else no process has claimed anything in Postgres yet
        if (settling) await tell('decided')
        switchTo(settling ? 'both' : 'redis')
        log.info({}, 'Redis is back')
        if (settling) wait(timings.settle).then(() => { if (mode === 'both') switchTo('redis') }, () => {})
        return
      } catch (err) {
        log.debug({ err }, 'Redis is still away')
      }
    }
  }
  /** Lets every other process know, at its next call, that Postgres knows keys that Redis does not. */
  const tell = async (missing: Missing): Promise<void> => {
    recall.expect(missing)
    try {
      const left = await recall.left()
      if (left > 0) await link.announce(left)
    } catch (err) {
      log.warn({ err }, 'other processes could not be told that Redis lacks records: each finds out by itself')
    }
  }
  const renew = async (): Promise<boolean> => {
    const { changed, created, recoveryLeft } = await link.renew()
    if (recoveryLeft > 0) recall.expectFor(recoveryLeft)
    else if (changed || created) recall.expect('all')
    if (changed) log.warn({}, 'Redis lost records, or another process found it so: Postgres is asked for keys that are new')
    return created
  }
  /** Claims wait until every process has made its own again, and its last completions are mirrored. */
  const relearn = async (): Promise<void> => {
    const created = await renew()
    await options.reassert()
    const paused = pause(wait(timings.reassert))
    if (created) paused.then(() => tell('all')).catch((err: unknown) => { log.error({ err }, 'telling other processes failed') })
    await paused
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
      recall.expect('decided')
      await renew().then((created) => created ? tell('all') : undefined).catch(goDown)
      switchTo(mode)
    },
    close () {
      clearInterval(probe)
      closed.abort()
    }
  }
}
