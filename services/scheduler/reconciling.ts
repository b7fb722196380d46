import type { Pool } from 'pg'
import { isTransient } from '../database/errors.js'
import type { Log } from '../log.js'
import { pause } from '../pause.js'
import type { Definition } from './definition.js'
import { createDefinitions } from './definitions.js'
import { createZones } from './zones.js'

/** A database that is away at the start is asked again so soon, ms. */
const retryAfter = 2_000

/** What is due is asked of the database, but when to ask, of the clocks of the processes. A difference that shows, ms. */
const maxSkew = 1_000

/** All of us lock schedules in one order; whoever changes the table by hand may not. */
const deadlock = '40P01'

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code

export interface ReconcilingDeps {
  pool: Pool
  log: Log
  definitions: () => Definition[]
  /**
   * What a running process declares is seen again so often, ms: nobody takes it for an orphan.
   * @default 3_600_000
   */
  seeEvery?: number
}

export interface Reconciling {
  /** Resolves when it is done, or will be done in the background, because the database is away or others hold rows. @throws what no waiting mends */
  start: () => Promise<void>
  stop: () => Promise<void>
}

/** Makes the table say what this process declares. */
export function createReconciling ({ pool, log, definitions: defined, seeEvery = 3_600_000 }: ReconcilingDeps): Reconciling {
  const definitions = createDefinitions({ pool })
  const zones = createZones({ pool })
  const stopping = new AbortController()
  let following: Promise<void> | null = null

  async function declare (): Promise<void> {
    const { written, removed, skew } = await definitions.reconcile(defined())
    if (Math.abs(skew) > maxSkew) log.warn({ skew: Math.round(skew) }, 'the clocks of this process and of the database differ: ticks may come late when it wakes the cluster')
    if (written.length + removed.length > 0) log.info({ written, removed }, 'schedules were declared')
  }
  async function follow (isDeclared: boolean): Promise<void> {
    for (let wait = isDeclared ? 0 : retryAfter; ;) {
      await pause(wait, [stopping.signal])
      if (stopping.signal.aborted) return
      try {
        await (isDeclared ? definitions.see(defined()) : declare())
        isDeclared = true
        await zones.refresh(stopping.signal)
        wait = seeEvery
      } catch (err) {
        log.warn({ err }, 'the schedules could not be declared: again soon')
        wait = retryAfter
      }
    }
  }
  return {
    async start () {
      const failure: unknown = await declare().catch((error: unknown) => error)
      if (failure !== undefined && !isTransient(failure) && codeOf(failure) !== deadlock) throw failure
      if (failure !== undefined) log.warn({ err: failure }, 'the schedules could not be declared: again soon')
      following = follow(failure === undefined)
    },
    async stop () {
      stopping.abort()
      await following
    }
  }
}
