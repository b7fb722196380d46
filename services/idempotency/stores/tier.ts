import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../../log.js'
import type { Observer } from '../observer.js'
import { createNotice } from './notice.js'
import type { Notice } from './notice.js'
import { createPauses } from './pauses.js'
import type { Pauses } from './pauses.js'
import type { Recall } from './recall.js'
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
  /** Makes the claims of this process again in Redis, and gives back there what ended meanwhile. */
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

/** A tier and what its steps share. */
interface Machine extends TierOptions {
  mode: Mode
  pauses: Pauses
  notice: Notice
  /** The end of the settling that counts: not that of an earlier outage. */
  settled: Promise<void> | null
  renewing: Promise<void> | null
  closed: AbortSignal
  wait: (ms: number) => Promise<void>
}

/** Decides which store decides: a circuit breaker around Redis, whose opening and closing are agreed with the other processes as far as time can. */
export function createTier (options: TierOptions): Tier {
  const { link, log, timings } = options
  const controller = new AbortController()
  const { signal: closed } = controller
  const wait = (ms: number): Promise<void> => delay(ms, undefined, { signal: closed, ref: false }).catch(() => {}) // closed: no need to wait
  const notice = createNotice({ ...options, again: () => wait(timings.settle), closed })
  const machine: Machine = { ...options, mode: 'redis', pauses: createPauses(), notice, settled: null, renewing: null, closed, wait }
  const probe = setInterval(() => {
    if (machine.mode === 'postgres' || !options.busy()) return
    link.probe().catch((error: unknown) => failed(machine, error)).catch((err: unknown) => { log.warn({ err }, 'looking at Redis failed') })
  }, timings.probe).unref()

  return {
    mode: () => machine.mode,
    ready: machine.pauses.ready,
    failed: (error) => failed(machine, error),
    async open () {
      await open(machine).catch((error: unknown) => goDown(machine, error))
      switchTo(machine, machine.mode)
    },
    close () {
      clearInterval(probe)
      controller.abort()
    }
  }
}

function switchTo (machine: Machine, next: Mode): void {
  machine.mode = next
  machine.observer.state('redis', next === 'postgres' ? 0 : 1)
}

async function failed (machine: Machine, error: unknown): Promise<void> {
  if (isGenerationChanged(error)) {
    machine.renewing ??= relearn(machine).catch((error: unknown) => goDown(machine, error)).finally(() => { machine.renewing = null })
    await machine.renewing
  } else if (isOutage(error)) await goDown(machine, error)
  else throw error
}

function goDown (machine: Machine, err: unknown): Promise<void> {
  const { pauses, closed, log, timings, wait } = machine
  if (machine.mode === 'postgres' || closed.aborted) return pauses.ready() ?? Promise.resolve()
  switchTo(machine, 'postgres')
  log.warn({ err }, 'Redis cannot be had: keys are claimed in Postgres')
  const paused = pauses.pause(Promise.all([wait(timings.handOver), Promise.race([handOver(machine), wait(patience)])]))
  comeBack(machine).catch((err: unknown) => { log.error({ err }, 'looking for Redis failed') })
  return paused
}

async function handOver (machine: Machine): Promise<void> {
  const { closed, log, timings, wait } = machine
  for (let failures = 0; !closed.aborted && machine.mode === 'postgres'; failures++) {
    try {
      return await machine.handOver()
    } catch (err) {
      if (failures === 0) log.error({ err }, 'running claims cannot be handed over to Postgres: it is tried again')
      await wait(timings.retryAfter)
    }
  }
}

async function comeBack (machine: Machine): Promise<void> {
  const { closed, log, timings, wait } = machine
  const since = performance.now()
  for (let rest = timings.retryAfter / 4; !closed.aborted; rest = timings.retryAfter) {
    await wait(rest)
    try {
      const lost = await renew(machine)
      await machine.reassert()
      const hasDecided = performance.now() - since >= timings.handOver // else no process has claimed anything in Postgres yet
      if (lost || hasDecided) {
        await Promise.race([machine.notice.tell(lost ? 'all' : 'decided'), wait(patience)])
        settle(machine)
      } else switchTo(machine, 'redis')
      return log.info({}, 'Redis is back')
    } catch (err) {
      log.debug({ err }, 'Redis is still away')
    }
  }
}

function settle (machine: Machine): void {
  switchTo(machine, 'both')
  const over = machine.settled = machine.wait(machine.timings.settle)
  over.then(() => { if (machine.settled === over && machine.mode === 'both') switchTo(machine, 'redis') }, () => {})
}

/** Whether others have to be told of what it found. */
async function renew ({ link, recall, log }: Machine): Promise<boolean> {
  const { changed, lost, recoveryLeft } = await link.renew()
  recall.expectFor(recoveryLeft)
  if (changed || lost) recall.expect('all') // the note may be older than the loss
  if (changed) log.warn({}, 'Redis lost records, or another process found it so: Postgres is asked for keys that are new')
  return lost
}

/** Claims wait from now on until every process has made its own again, and its last completions are mirrored. */
async function relearn (machine: Machine): Promise<void> {
  const learned = renew(machine).then(async (lost) => {
    await machine.reassert()
    await machine.wait(machine.timings.reassert)
    return lost
  })
  const paused = machine.pauses.pause(learned.catch(() => {}))
  if (await learned) machine.notice.tellAfter(paused, 'all')
  await paused
}

/** Claims wait until it is known whether another process may be working with Postgres now, and after a loss as `relearn` does. */
async function open (machine: Machine): Promise<void> {
  const { recall, pauses, notice, wait, timings } = machine
  recall.expect('decided')
  // What Postgres has at this moment is older than this Redis: records that come in meanwhile are in both.
  if (await renew(machine)) pauses.pause(Promise.all([notice.tell('all'), wait(timings.reassert)])).catch(() => {})
  const asked = recall.left().then((left) => { if (left > 0 && machine.mode === 'redis') settle(machine) }, () => {}) // a claim fails with the same error
  pauses.pause(asked).catch(() => {})
}
