import type { Log } from '../../log.js'
import type { Claim, ClaimResult, StoredRecord } from '../record.js'
import type { InFlight } from './in-flight.js'
import type { PostgresStore } from './postgres.js'
import type { Recall } from './recall.js'
import type { RedisLink } from './redis-link.js'
import type { Tier } from './tier.js'

export interface DeciderDeps {
  link: RedisLink
  postgres: PostgresStore
  tier: Tier
  recall: Recall
  inFlight: InFlight
  log: Log
}

/** Says who has a key. */
export interface Decider {
  claim: (claim: Claim) => Promise<ClaimResult>
  get: (id: string) => Promise<StoredRecord | null>
}

/** Times that Redis is asked before Postgres decides: it may lose its data and its connection in the middle of a claim. */
const maxTries = 3

export function createDecider (deps: DeciderDeps): Decider {
  const { link, postgres, tier, inFlight } = deps
  const claimInPostgres = async (claim: Claim): Promise<ClaimResult> => {
    const result = await postgres.claim(claim)
    if (result.state === 'claimed') inFlight.add(claim, 'inPostgres')
    return result
  }

  return {
    async claim (claim) {
      for (let tries = 0; tries < maxTries; tries++) {
        if (tier.ready() !== null) await tier.ready()
        if (tier.mode() === 'postgres') break
        const result = tier.mode() === 'redis' ? await claimInRedis(deps, claim) : await claimInBoth(deps, claim)
        if (result !== again) return result
      }
      return await claimInPostgres(claim)
    },
    async get (id) {
      const found = tier.mode() === 'postgres' ? again : await ask(deps, () => link.get(id))
      // What runs in Redis, or is not there, may be finished in Postgres.
      return found === again || found === null || found.state === 'running' ? await postgres.get(id) ?? (found === again ? null : found) : found
    }
  }
}

/** Redis failed in the middle: the tier has changed, or the generation. */
const again = Symbol('again')

async function ask<T> ({ tier }: DeciderDeps, call: () => Promise<T>): Promise<T | typeof again> {
  try {
    return await call()
  } catch (error) {
    await tier.failed(error)
    return again
  }
}

/** A new key is taken for new when Postgres, where it may know better, has nothing of it either. */
async function claimInRedis (deps: DeciderDeps, claim: Claim): Promise<ClaimResult | typeof again> {
  const { link, recall, inFlight } = deps
  const result = await ask(deps, () => link.claim(claim))
  if (result === again) return again
  if (result.state === 'claimed') inFlight.add(claim, 'inRedis')
  else if (result.state !== 'running') return result
  const giveBack = async (): Promise<void> => {
    if (result.state !== 'claimed') return
    inFlight.remove(claim)
    await ask(deps, () => link.release(claim)) // the request does not run under this claim: a retry must not wait for its lease
  }
  try {
    const earlier = await recall.find(claim, result)
    if (earlier !== null) await giveBack()
    return earlier ?? result
  } catch (error) {
    await giveBack()
    throw error
  }
}

/**
 * While instances come back from an outage, at different moments. Postgres decides for all of them; what was decided in Redis, before the outage or
 * by an instance that is through with this, is looked for after the claim in Postgres, and they look in Postgres after their claim in Redis: so at
 * least one of two sees the other.
 */
async function claimInBoth (deps: DeciderDeps, claim: Claim): Promise<ClaimResult | typeof again> {
  const { link, postgres, inFlight } = deps
  const result = await postgres.claim(claim)
  if (result.state !== 'claimed') return result
  inFlight.add(claim, 'inPostgres')
  const found = await ask(deps, () => link.get(claim.id))
  if (found === again) return again // with the same token, Postgres grants it again
  if (found === null || found.token === claim.token || isPast(found, claim)) return result
  inFlight.remove(claim)
  await postgres.release(claim)
  return found
}

function isPast (found: StoredRecord, { fingerprint }: Claim): boolean {
  return found.state === 'running' && found.leaseLeft <= 0 && found.fingerprint === fingerprint
}
