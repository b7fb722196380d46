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
  /** Claims that Redis was asked for and has not answered: it may execute them later. */
  unanswered: WeakSet<Claim>
  /** Gives a claim back where it is held. */
  release: (claim: Claim) => Promise<boolean>
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
  const { link, postgres, tier, inFlight, unanswered, release, log } = deps
  /** The request does not run under this claim: a retry must not wait for its lease. */
  const giveBack = async (claim: Claim): Promise<void> => {
    if (inFlight.find(claim) === undefined && !unanswered.has(claim)) return
    await release(claim).catch((err: unknown) => { log.warn({ err }, 'a claim could not be given back: it ends with its lease') })
  }

  return {
    async claim (claim) {
      try {
        const result = await decide(deps, claim)
        if (result.state !== 'claimed') await giveBack(claim)
        return result
      } catch (error) {
        await giveBack(claim)
        throw error
      }
    },
    async get (id) {
      const found = tier.mode() === 'postgres' ? again : await ask(deps, () => link.get(id))
      if (found === again) return await postgres.get(id)
      if (found !== null && found.state !== 'running') return found
      // It may be finished in Postgres. If that cannot be had, what Redis says is enough to wait on: who then claims asks again.
      return await postgres.get(id).catch((err: unknown) => { log.debug({ err }, 'Postgres could not be asked for a record') }) ?? found
    }
  }
}

async function decide (deps: DeciderDeps, claim: Claim): Promise<ClaimResult> {
  const { tier } = deps
  for (let tries = 0; tries < maxTries; tries++) {
    while (tier.ready() !== null) await tier.ready()
    if (tier.mode() === 'postgres') break
    const result = tier.mode() === 'redis' ? await claimInRedis(deps, claim) : await claimInBoth(deps, claim)
    if (result !== again) return result
  }
  return await claimInPostgres(deps, claim)
}

/** Redis failed in the middle: the tier has changed, or the generation. With the same token the claim is granted again. */
const again = Symbol('again')

async function ask<T> ({ tier }: DeciderDeps, call: () => Promise<T>): Promise<T | typeof again> {
  try {
    return await call()
  } catch (error) {
    await tier.failed(error)
    return again
  }
}

/** Of Redis. */
async function askForClaim (deps: DeciderDeps, claim: Claim): Promise<ClaimResult | typeof again> {
  const result = await ask(deps, () => deps.link.claim(claim))
  if (result === again) deps.unanswered.add(claim)
  return result
}

/** A new key is taken for new when Postgres, where it may know better, has nothing of it either. */
async function claimInRedis (deps: DeciderDeps, claim: Claim): Promise<ClaimResult | typeof again> {
  const { recall, inFlight, tier } = deps
  const result = await askForClaim(deps, claim)
  if (result === again) return again
  if (result.state === 'claimed') inFlight.add(claim, 'inRedis')
  else if (result.state !== 'running') return result
  if (tier.mode() === 'postgres') return again // the answer came after the others were handed over
  const earlier = await recall.find(claim, result)
  if (earlier === null) return result
  if (!isPast(earlier, claim)) return earlier
  return result.state === 'claimed' ? { state: 'claimed', recovered: true } : result
}

async function claimInPostgres ({ postgres, inFlight }: DeciderDeps, claim: Claim): Promise<ClaimResult> {
  const result = await postgres.claim(claim)
  if (result.state === 'claimed') inFlight.add(claim, 'inPostgres')
  return result
}

/**
 * While instances come back from an outage, at different moments: those that are not back yet claim in Postgres, those that are through with this,
 * or never saw the outage, in Redis.
 */
async function claimInBoth (deps: DeciderDeps, claim: Claim): Promise<ClaimResult | typeof again> {
  const { inFlight } = deps
  const first = await claimInPostgres(deps, claim)
  if (first.state !== 'claimed') return first
  const second = await askForClaim(deps, claim)
  if (second === again || second.state !== 'claimed') return second
  inFlight.add(claim, 'inRedis')
  return first.recovered ? first : second
}

function isPast (found: StoredRecord, { fingerprint }: Claim): boolean {
  return found.state === 'running' && found.leaseLeft <= 0 && found.fingerprint === fingerprint
}
