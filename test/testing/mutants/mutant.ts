import type { Claim, StoredResponse } from '../../../services/idempotency/record.js'
import type { IdempotencyStore } from '../../../services/idempotency/store.js'

/** What a broken store does otherwise than the one that it is made of. */
export type Mutate = (store: IdempotencyStore) => Partial<IdempotencyStore>

/** Broken stores by the promise whose check must catch them, and by what they do. */
export type Mutants = Record<string, Record<string, Mutate>>

export const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) })

/** The claim with the token of whoever holds the key: what a store does that does not compare. */
export async function asHolder (store: IdempotencyStore, claim: Claim): Promise<Claim> {
  return { ...claim, token: (await store.get(claim.id))?.token ?? claim.token }
}

export async function isPast (store: IdempotencyStore, { id }: Claim): Promise<boolean> {
  const found = await store.get(id)
  return found?.state === 'running' && found.leaseLeft === 0
}

export const completing = (complete: (store: IdempotencyStore) => IdempotencyStore['complete']): Mutate => (store) => ({ complete: complete(store) })
export const releasing = (release: (store: IdempotencyStore) => IdempotencyStore['release']): Mutate => (store) => ({ release: release(store) })
export const extending = (extend: (store: IdempotencyStore) => IdempotencyStore['extend']): Mutate => (store) => ({ extend: extend(store) })
export const waiting = (waitFor: (store: IdempotencyStore) => IdempotencyStore['waitFor']): Mutate => (store) => ({ waitFor: waitFor(store) })
export const claiming = (claim: (store: IdempotencyStore) => IdempotencyStore['claim']): Mutate => (store) => ({ claim: claim(store) })

/** Keeps something else than it was given. */
export const keeping = (change: (response: StoredResponse) => StoredResponse): Mutate =>
  completing((store) => (claim, response) => store.complete(claim, response === null ? null : change(response)))
