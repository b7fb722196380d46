import type { Claim, StoredResponse } from '../record.js'
import type { Log } from '../../log.js'
import type { Held, InFlight } from './in-flight.js'
import type { Mirror } from './mirror.js'
import type { PostgresStore } from './postgres.js'
import { isGenerationChanged } from './redis-link.js'
import type { RedisLink } from './redis-link.js'
import { isOutage } from './redis-outage.js'
import type { Tier } from './tier.js'

/** Extends and ends claims where they are. */
export interface Settler {
  extend: (claims: readonly Claim[]) => Promise<boolean[]>
  complete: (claim: Claim, response: StoredResponse | null) => Promise<boolean>
  release: (claim: Claim) => Promise<boolean>
  /** Gives back in Redis what was given back while that could not be had: it would stay claimed, and be taken for the claim of a crash then. */
  repay: () => Promise<void>
}

export interface SettlerDeps {
  link: RedisLink
  postgres: PostgresStore
  tier: Tier
  inFlight: InFlight
  /** Claims that Redis was asked for and has not answered: it may execute them later. */
  unanswered: WeakSet<Claim>
  mirror: Mirror
  log: Log
}

/** Released while Redis was away, at most. Those before them end with their leases, as claims of a crash do. */
const maxDebts = 10_000

type Where = Pick<Held, 'claim' | 'inRedis' | 'inPostgres'>

export function createSettler (deps: SettlerDeps): Settler {
  const { postgres, inFlight } = deps
  const debts = new Set<Claim>()
  return {
    async extend (claims) {
      const inRedis = await extendInRedis(deps, claims)
      const isHeld = ({ token }: Claim): boolean => inRedis?.has(token) === true
      const inPostgres = await extendInPostgres(deps, claims, inRedis === null).catch((error: unknown) => {
        if (!claims.every(isHeld)) throw error
        return new Set<string>() // Redis has them all
      })
      const held = claims.map((claim) => isHeld(claim) || inPostgres.has(claim.token))
      claims.forEach((claim, index) => { if (held[index] === true) inFlight.extended(claim) })
      return held
    },
    async complete (claim, response) {
      const held = await whereHeld(deps, claim)
      try {
        return await completeHeld(deps, { ...held, claim }, response)
      } finally {
        inFlight.remove(claim)
      }
    },
    async release (claim) {
      const held = await whereHeld(deps, claim)
      const isOurs = inFlight.find(claim) !== undefined // then what Redis has lost is free as well
      inFlight.remove(claim)
      const free: readonly unknown[] = isOurs ? ['held', 'missing'] : ['held']
      const released = await Promise.all([
        releaseInRedis(deps, debts, { ...held, claim }).then((found) => held.inRedis && free.includes(found)),
        held.inPostgres && postgres.release(claim)
      ])
      return released.includes(true)
    },
    repay: () => repay(deps, debts)
  }
}

/** What Redis answers, or null. Until it does we owe it. */
async function releaseInRedis (deps: SettlerDeps, debts: Set<Claim>, { claim, inRedis }: Where): Promise<unknown> {
  if (!inRedis && !deps.unanswered.has(claim)) return null
  owe(debts, claim)
  const found = await viaRedis(deps, () => deps.link.release(claim))
  if (found !== null) debts.delete(claim)
  return found
}

function owe (debts: Set<Claim>, claim: Claim): void {
  debts.add(claim)
  const [oldest] = debts
  if (debts.size > maxDebts && oldest !== undefined) debts.delete(oldest)
}

async function repay ({ link, log }: SettlerDeps, debts: Set<Claim>): Promise<void> {
  await Promise.all([...debts].map(async (claim) => {
    await link.release(claim).catch((err: unknown) => {
      if (isOutage(err) || isGenerationChanged(err)) throw err
      log.warn({ err, key: claim.id.slice(0, 8) }, 'a claim could not be given back in Redis: it ends with its lease')
    })
    debts.delete(claim)
  }))
}

/** Known once it is handed over, or made again. What was forgotten with its lease is probably in Redis. */
async function whereHeld ({ tier, inFlight }: SettlerDeps, claim: Claim): Promise<Where> {
  while (tier.ready() !== null) await tier.ready()
  return inFlight.find(claim) ?? { claim, inRedis: true, inPostgres: false }
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

/** Tokens that Redis holds, null when it cannot be had. What it lost is made again, unless another attempt was quicker. */
async function extendInRedis (deps: SettlerDeps, claims: readonly Claim[]): Promise<Set<string> | null> {
  const { link, inFlight } = deps
  const asked = claims.filter((claim) => inFlight.find(claim)?.inRedis !== false)
  if (asked.length === 0) return new Set()
  const found = await viaRedis(deps, () => link.extend(asked))
  if (found === null) return null
  const held = await Promise.all(asked.map(async (claim, index) =>
    found[index] === 'missing' ? inFlight.find(claim) !== undefined && (await link.claim(claim)).state === 'claimed' : found[index] === 'held'))
  return tokensOf(asked, held)
}

/** Tokens that Postgres holds: those that are there, and when Redis cannot be had all. */
async function extendInPostgres ({ postgres, inFlight }: SettlerDeps, claims: readonly Claim[], all: boolean): Promise<Set<string>> {
  const asked = claims.filter((claim) => all || inFlight.find(claim)?.inPostgres === true)
  if (asked.length === 0) return new Set()
  const held = await postgres.hold(asked)
  asked.forEach((claim, index) => {
    const found = inFlight.find(claim) // not when it has ended meanwhile
    if (found !== undefined && held[index] === true) found.inPostgres = true
  })
  return tokensOf(asked, held)
}

function tokensOf (claims: readonly Claim[], held: readonly boolean[]): Set<string> {
  return new Set(claims.filter((_claim, index) => held[index]).map(({ token }) => token))
}

/** Where the claim is in both stores, both learn of its end. Redis, when it has the claim, decides; else Postgres does. */
async function completeHeld (deps: SettlerDeps, { claim, inRedis, inPostgres }: Where, response: StoredResponse | null): Promise<boolean> {
  const { link, postgres, mirror } = deps
  const inTime = inRedis ? await viaRedis(deps, () => link.complete(claim, response)) : null
  if (inTime === 'held') {
    if (inPostgres) await postgres.finish([{ claim, response, age: 0 }], 'redis').catch(() => { mirror.add(claim, response) }) // which says what is wrong, and tries again
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
