import type { Claim } from '../record.js'

/** A claim of this process, and which stores know of it. */
export interface Held {
  readonly claim: Claim
  inRedis: boolean
  inPostgres: boolean
  /** When its lease is over by our clock, ms. */
  until: number
}

export interface InFlight {
  find: (claim: Claim) => Held | undefined
  add: (claim: Claim, where: 'inRedis' | 'inPostgres') => void
  /** Its lease has started anew. */
  extended: (claim: Claim) => void
  remove: (claim: Claim) => void
  all: () => Held[]
}

/** So many claims are kept before those whose lease is over are looked for. */
const few = 1_000

/**
 * The claims of this process whose requests have not ended. A claim that is neither extended nor ended is forgotten with its lease: the start of a
 * fire (double-fires.ts) never is, and a request that ran longer than it may holds its key no more.
 * @param now ms of a clock that never jumps
 */
export function createInFlight (now: () => number): InFlight {
  const claims = new Map<string, Held>()
  let most = few
  const forgetPast = (): void => {
    const time = now()
    for (const [token, { until }] of claims) if (until <= time) claims.delete(token)
    most = Math.max(few, 2 * claims.size)
  }

  return {
    find: ({ token }) => claims.get(token),
    add (claim, where) {
      const held = claims.get(claim.token)
      if (held !== undefined) held[where] = true
      else claims.set(claim.token, { claim, inRedis: where === 'inRedis', inPostgres: where === 'inPostgres', until: now() + claim.lease })
      if (claims.size > most) forgetPast()
    },
    extended ({ token, lease }) {
      const held = claims.get(token)
      if (held !== undefined) held.until = now() + lease
    },
    remove: ({ token }) => { claims.delete(token) },
    all () {
      forgetPast()
      return [...claims.values()]
    }
  }
}
