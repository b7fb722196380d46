import type { Claim, StoredResponse } from '../record.js'
import type { DeciderDeps } from './decider.js'
import type { Held } from './in-flight.js'
import type { Mirror } from './mirror.js'

/** Extends and ends claims where they are. */
export interface Settler {
  extend: (claims: readonly Claim[]) => Promise<boolean[]>
  complete: (claim: Claim, response: StoredResponse | null) => Promise<boolean>
  release: (claim: Claim) => Promise<boolean>
}

export interface SettlerDeps extends DeciderDeps {
  mirror: Mirror
}

export function createSettler (deps: SettlerDeps): Settler {
  const { link, postgres, inFlight } = deps
  return {
    async extend (claims) {
      const [inRedis, inPostgres] = await Promise.all([extendInRedis(deps, claims), extendInPostgres(deps, claims)])
      return claims.map(({ token }) => inRedis.get(token) ?? inPostgres.get(token) ?? false)
    },
    async complete (claim, response) {
      const held = inFlight.find(claim) ?? { claim, inRedis: true, inPostgres: false }
      try {
        return await completeHeld(deps, { ...held, claim }, response)
      } finally {
        inFlight.remove(claim)
      }
    },
    async release (claim) {
      const own = inFlight.find(claim)
      const held = own ?? { claim, inRedis: true, inPostgres: false }
      inFlight.remove(claim)
      const released = await Promise.all([
        held.inRedis && viaRedis(deps, async () => {
          const found = await link.release(claim)
          return found === 'held' || (found === 'missing' && own !== undefined) // what Redis lost is free
        }),
        held.inPostgres && postgres.release(claim)
      ])
      return released.includes(true)
    }
  }
}

/** What Redis answers, asked again after it was found to have lost its data; null when it cannot be had. */
async function viaRedis<T> ({ tier }: SettlerDeps, call: () => Promise<T>): Promise<T | null> {
  for (let tries = 0; tries < 2 && tier.mode() !== 'postgres'; tries++) {
    try {
      return await call()
    } catch (error) {
      await tier.failed(error)
    }
  }
  return null
}

/** Tokens that Redis holds. What it lost is made again, unless another attempt was quicker. */
async function extendInRedis (deps: SettlerDeps, claims: readonly Claim[]): Promise<Map<string, true>> {
  const { link, inFlight } = deps
  const asked = claims.filter((claim) => inFlight.find(claim)?.inRedis === true)
  if (asked.length === 0) return new Map()
  const found = await viaRedis(deps, () => link.extend(asked)) ?? []
  const held = await Promise.all(asked.map(async (claim, index) =>
    found[index] === 'missing' ? (await link.claim(claim)).state === 'claimed' : found[index] === 'held'))
  return new Map(asked.filter((_claim, index) => held[index]).map(({ token }) => [token, true]))
}

/** Tokens that Postgres holds: those that are there, and while Redis is gone all. */
async function extendInPostgres ({ postgres, inFlight, tier }: SettlerDeps, claims: readonly Claim[]): Promise<Map<string, true>> {
  const asked = claims.filter((claim) => inFlight.find(claim)?.inPostgres === true || tier.mode() === 'postgres')
  if (asked.length === 0) return new Map()
  const held = await postgres.hold(asked)
  asked.forEach((claim, index) => { if (held[index] === true) inFlight.add(claim, 'inPostgres') })
  return new Map(asked.filter((_claim, index) => held[index] === true).map(({ token }) => [token, true]))
}

/** Where the claim is in both stores, both learn of its end. Redis, when it has the claim, decides; else Postgres does. */
async function completeHeld (deps: SettlerDeps, { claim, inRedis, inPostgres }: Held, response: StoredResponse | null): Promise<boolean> {
  const { link, postgres, mirror } = deps
  const inTime = inRedis ? await viaRedis(deps, () => link.complete(claim, response)) : null
  if (inTime === 'held') {
    if (inPostgres) await postgres.finish([{ claim, response, age: 0 }], 'postgres')
    else if (claim.guarantee !== 'fast') mirror.add(claim, response)
    return true
  }
  if (inTime === 'other' && !inPostgres) return false
  const [kept] = await postgres.finish([{ claim, response, age: 0 }], 'postgres')
  if (kept === true && inTime === 'missing') await restore(deps, claim, response)
  return kept === true
}

/** Redis has evicted the claim, or lost it unnoticed: nobody would ask Postgres for the key. */
async function restore ({ link, log }: SettlerDeps, claim: Claim, response: StoredResponse | null): Promise<void> {
  log.warn({ key: claim.id.slice(0, 8) }, 'Redis has lost a running claim: is its maxmemory-policy noeviction?')
  await link.claim(claim).then(() => link.complete(claim, response)).catch((err: unknown) => { log.warn({ err }, 'the answer could not be restored in Redis') })
}
