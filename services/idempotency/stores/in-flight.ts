import type { Claim } from '../record.js'

/** A claim of this process, and which stores know of it. */
export interface Held {
  readonly claim: Claim
  inRedis: boolean
  inPostgres: boolean
}

export interface InFlight {
  find: (claim: Claim) => Held | undefined
  add: (claim: Claim, where: 'inRedis' | 'inPostgres') => void
  remove: (claim: Claim) => void
  /** Those that only Redis knows of. */
  onlyInRedis: () => Held[]
  all: () => Held[]
  count: () => number
}

/** The claims of this process whose requests have not ended. */
export function createInFlight (): InFlight {
  const claims = new Map<string, Held>()
  return {
    find: ({ token }) => claims.get(token),
    add (claim, where) {
      const held = claims.get(claim.token)
      if (held !== undefined) held[where] = true
      else claims.set(claim.token, { claim, inRedis: where === 'inRedis', inPostgres: where === 'inPostgres' })
    },
    remove: ({ token }) => { claims.delete(token) },
    onlyInRedis: () => [...claims.values()].filter(({ inPostgres }) => !inPostgres),
    all: () => [...claims.values()],
    count: () => claims.size
  }
}
