/** What recognised a duplicate. */
export type Layer = 'key' | 'fingerprint'

/** What became of a request, or of its claim. */
export const outcomes = [
  'executed', 'replayed', 'coalesced', 'conflict', 'mismatch', 'invalid', 'bypassed', 'recovered', 'lease_lost', 'tombstone', 'unavailable'
] as const
export type Outcome = typeof outcomes[number]

/** Where the services report what they do. Never by key or user. */
export interface Observer {
  outcome: (layer: Layer, outcome: Outcome) => void
  /** @param ms from the claim to the answer */
  handled: (ms: number) => void
  /** @param ms that a call of a store took */
  called: (store: string, operation: string, ms: number) => void
  /** @param ms between the end of a request and the moment Postgres knew of it */
  mirrored: (ms: number) => void
  /** Whether a store serves: 1, or is left alone: 0. */
  state: (store: string, state: 0 | 1) => void
}

export const noObserver: Observer = { outcome () {}, handled () {}, called () {}, mirrored () {}, state () {} }
