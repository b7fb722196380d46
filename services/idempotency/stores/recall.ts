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
  /** What Postgres holds of another attempt at the key, or null when that is nothing or it need not be asked. `seen` is what Redis says of it. */
  find: (claim: Claim, seen: ClaimResult) => Promise<StoredRecord | null>
}

/** Remembers until when Postgres may know keys that Redis does not. */
export function createRecall (postgres: Pick<PostgresStore, 'get' | 'lifetime'>, now: () => number): Recall {
  let until = 0
  let unknown: { missing: Missing } | null = null
  let learning: Promise<void> | null = null

  const learn = async (asked: { missing: Missing }): Promise<void> => {
    const lifetime = await postgres.lifetime(asked.missing)
    until = Math.max(until, now() + lifetime)
    if (unknown === asked) unknown = null
  }
  const left = async (): Promise<number> => {
    for (;;) {
      if (unknown === null) return Math.max(0, until - now())
      await (learning ??= learn(unknown).finally(() => { learning = null })) // one query for all claims that wait for it
    }
  }

  return {
    expect (missing) { unknown = { missing: unknown?.missing === 'all' ? 'all' : missing } },
    expectFor (duration) { until = Math.max(until, now() + duration) },
    left,
    async find (claim, seen) {
      if (await left() === 0 && !isDoubtful(claim, seen)) return null
      const record = await postgres.get(claim.id)
      return record?.token === claim.token ? null : record
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
