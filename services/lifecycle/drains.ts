import type { Log } from '../log.js'
import { fn, show } from '../options.js'
import { FST_LIFECYCLE_USAGE } from './errors.js'
import { settledBefore } from './settled-before.js'

/** What a plugin does at the stop. The signal aborts shortly before the deadline: give back what is left. */
export type Drain = (signal: AbortSignal) => Promise<unknown> | unknown

export interface Drains {
  /** @throws FST_LIFECYCLE_USAGE */
  add: (name: string, drain: Drain) => void
  /** Runs them one after the other, the last one added first. Resolves with the names of those that failed or were left behind at `over`. Never rejects. */
  run: (hurry: AbortSignal, over: AbortSignal) => Promise<string[]>
  /** The one that runs. */
  running: () => string | null
}

export function createDrains (log: Log): Drains {
  const drains: Array<{ name: string, drain: Drain }> = []
  let running: string | null = null

  async function runOne (name: string, drain: Drain, hurry: AbortSignal): Promise<boolean> {
    const start = performance.now()
    const fields = () => ({ drain: name, duration: performance.now() - start })
    try {
      await drain(hurry)
      log.info(fields(), 'drained')
      return true
    } catch (error) {
      log.error({ err: error, ...fields() }, 'drain failed')
      return false
    }
  }

  return {
    add (name, drain) {
      if (!fn.accepts(drain)) throw new FST_LIFECYCLE_USAGE(`the drain \`${name}\` must be a function, got ${show(drain)}`)
      drains.push({ name, drain })
    },
    async run (hurry, over) {
      const undone: string[] = []
      for (const { name, drain } of drains.toReversed()) {
        running = name
        let drained = false
        await settledBefore(over, runOne(name, drain, hurry).then((result) => { drained = result }))
        if (!drained) undone.push(name)
      }
      running = null
      return undone
    },
    running: () => running
  }
}
