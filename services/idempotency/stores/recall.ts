import type { Claim, ClaimResult, StoredRecord } from '../record.js'
import type { PostgresStore } from './postgres.js'

/** What Postgres may know that Redis does not: what it decided itself during outages, or all that was mirrored too, because Redis lost its data. */
export type Missing = 'decided' | 'all'

export interface Recall {
  /** From now on Postgres is asked for keys that are new to Redis, until the last of what it may know alone has expired. */
  expect: (missing: Missing) => void
  /** The same, when it is known for how long, ms. */
  expectFor: (duration: number) => void
  /** How long Postgres will be asked, ms; 0 when it need not be. Throws when that can only be learned from Postgres and it cannot be had. */
  left: () => Promise<number>
  /** The record that Postgres holds for the key, or null when it holds none or need not be asked. `seen` is what Redis says of it. */
  find: (claim: Claim, seen: ClaimResult) => Promise<StoredRecord | null>
}

/** Remembers until when Postgres may know keys that Redis does not. */
export function createRecall (postgres: Pick<PostgresStore, 'get' | 'lifetime'>, now: () => number): Recall {
  let until = 0
  let unknown: Missing | null = null

  const learn = async (missing: Missing): Promise<void> => {
    const lifetime = await postgres.lifetime(missing)
    until = Math.max(until, now() + lifetime)
    if (unknown === missing) unknown = null
  }
  const left = async (): Promise<number> => {
    if (unknown !== null) await learn(unknown)
    return Math.max(0, until - now())
  }

  return {
    expect (missing) { unknown = unknown === 'all' ? 'all' : missing },
    expectFor (duration) { until = Math.max(until, now() + duration) },
    left,
    async find (claim, seen) {
      if (await left() === 0 && !isDoubtful(claim, seen)) return null
      const record = await postgres.get(claim.id)
      return record === null || record.token === claim.token || (record.state === 'running' && record.leaseLeft <= 0) ? null : record
    }
  }
}

/**
 * A claim that was left behind in Redis may be that of a request which was then finished in Postgres: because the reply of Redis was late, or in the
 * transaction of a process that died right after its commit.
 */
function isDoubtful ({ guarantee }: Claim, seen: ClaimResult): boolean {
  return seen.state === 'claimed' ? seen.recovered : guarantee === 'transactional'
}
