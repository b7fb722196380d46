import pRetry from 'p-retry'
import type { Log } from '../log.js'
import { before } from './before.js'
import type { Claim, StoredResponse } from './record.js'
import type { IdempotencyStore } from './store.js'

export interface LateWrites {
  /** Goes on trying to finish the record until its lease would be past. Never throws. */
  complete: (claim: Claim, response: StoredResponse | null) => void
  /** Tries once more what is still tried, and gives it up. */
  close: () => Promise<void>
}

/** Most that is tried at once: during an outage of all stores the requests of a busy server would fill the memory. */
const maxTried = 1_000

/** How long the server waits for calls that are under way when it stops, ms. */
const lastCall = 1_000

/** Completions that no store took: the client has its answer, and a store that comes back within the lease shall know of it. */
export function createLateWrites ({ store, log }: { store: Pick<IdempotencyStore, 'complete'>, log: Log }): LateWrites {
  const controller = new AbortController()
  const tried = new Set<Promise<void>>()

  const write = async (claim: Claim, response: StoredResponse | null): Promise<void> => {
    try {
      await pRetry(() => store.complete(claim, response), { retries: Infinity, minTimeout: 100, maxTimeout: 1_000, maxRetryTime: claim.lease, unref: true, signal: controller.signal })
    } catch (err) {
      if (controller.signal.aborted && await isWritten(claim, response)) return
      log.error({ err, key: claim.id.slice(0, 8) }, 'an answer could not be kept: its claim ends with its lease')
    }
  }

  /** A last try: the store may be back since. */
  const isWritten = (claim: Claim, response: StoredResponse | null): Promise<boolean> => store.complete(claim, response).then(() => true, () => false)

  return {
    complete (claim, response) {
      if (tried.size >= maxTried) return log.error({ key: claim.id.slice(0, 8) }, 'an answer could not be kept: too many wait for a store')
      const written = write(claim, response).finally(() => { tried.delete(written) })
      tried.add(written)
    },
    async close () {
      controller.abort(new Error('the server stops'))
      await before(lastCall, Promise.all(tried))
    }
  }
}
