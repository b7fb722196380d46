import { LRUCache } from 'lru-cache'
import type { Log } from '../log.js'
import type { BegunRun, Ledger } from './ledger.js'

export interface RefusingDeps {
  ledger: Pick<Ledger, 'refuse'>
  log: Log
  /** When a refused run is offered again, the first ten times, ms. */
  delay: number
}

/** Each of the processes of a deployment may have been asked before one that has the job; a job that was removed from the code is offered ever more rarely, ms. */
const maxDelay = 300_000
/** So often, a day in all: then nobody will ever have it. */
const maxOffers = 600
/** One line a minute for each job, ms. */
const quiet = 60_000

/** Gives runs back whose job this process does not have. Answers the run when it is dead. */
export function createRefusing ({ ledger, log, delay }: RefusingDeps): (id: string, job: string) => Promise<BegunRun | null> {
  const told = new LRUCache<string, true>({ max: 1_000, ttl: quiet })
  return async (id, job) => {
    if (!told.has(job)) log.warn({ run: id, job }, 'a run has no handler in this process: it goes back for another one')
    told.set(job, true, { noUpdateTTL: true })
    const row = await ledger.refuse(id, { delay, maxDelay, maxOffers })
    return row?.state === 'dead' ? { ...row, state: 'dead' } : null
  }
}
