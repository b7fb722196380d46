import type { Log } from '../../log.js'
import type { Claim, ClaimResult, StoredRecord } from '../record.js'
import type { PostgresStore } from './postgres.js'

export interface Recall {
  /** Called when Redis failed: records may be made in Postgres from now on. */
  extend: (retention: number) => void
  /** The record that Postgres holds for the key, or null when it holds none or need not be asked. `seen` is what Redis says of it. */
  find: (claim: Claim, seen: ClaimResult) => Promise<StoredRecord | null>
}

/** A process that had an answer from Redis this short a time ago, ms, would have noticed an outage. One that was idle may have slept through it. */
const attentive = 100

/** Remembers until when Postgres may know a key that Redis does not: because of our own outages, of other processes' and of earlier ones'. */
export function createRecall (postgres: PostgresStore, log: Log, now: () => number): Recall {
  let until = 0
  let lastFind: number | null = null

  const catchUp = async (): Promise<void> => {
    try {
      const lifetime = await postgres.lifetime('decided')
      until = Math.max(until, now() + lifetime)
    } catch (err) {
      // Nothing is known yet, or something is to be found there: the key cannot be judged. Else Redis goes on alone.
      if (lastFind === null || now() < until) throw err
      log.warn({ err }, 'Postgres cannot be asked whether there was an outage of Redis')
    }
  }

  return {
    extend (retention) {
      until = Math.max(until, now() + retention)
    },
    async find ({ id, token }, seen) {
      if (lastFind === null || now() - lastFind > attentive) await catchUp()
      lastFind = now()
      // A claim that was left behind in Redis may be that of a request whose reply from Redis was late and which was then finished in Postgres.
      const left = seen.state === 'claimed' && seen.recovered
      if (now() >= until && !left) return null
      const record = await postgres.get(id)
      return record === null || record.token === token || (record.state === 'running' && record.leaseLeft <= 0) ? null : record
    }
  }
}
