import type { Log } from '../../log.js'

export interface MirrorLog {
  /** Counts completions that were dropped because too many waited. */
  dropped: (count: number) => void
  droppedInAll: () => number
  /** Returns how many times in a row it has failed now. */
  failed: (err: unknown) => number
  /** @param hasCaughtUp nothing waits any more */
  succeeded: (hasCaughtUp: boolean) => void
}

/** Speaks once when something begins and once when it is over: an outage of Postgres is not a line for every batch. */
export function createMirrorLog (log: Log): MirrorLog {
  let [failures, inAll, before] = [0, 0, 0]
  return {
    dropped (count) {
      if (count > 0 && inAll === before) log.error({}, 'too many completions wait for Postgres: the oldest are not mirrored')
      inAll += count
    },
    droppedInAll: () => inAll,
    failed (err) {
      if (failures++ === 0) log.warn({ err }, 'completions cannot be mirrored to Postgres: they are kept and tried again')
      return failures
    },
    succeeded (hasCaughtUp) {
      if (failures > 0) log.info({ failures }, 'completions are mirrored to Postgres again')
      failures = 0
      if (!hasCaughtUp || inAll === before) return
      log.warn({ dropped: inAll - before }, 'completions were not mirrored to Postgres')
      before = inAll
    }
  }
}
