import type { Test } from 'tap'
import type { Guarantee } from '../../../services/idempotency/record.js'
import type { IdempotencyStore } from '../../../services/idempotency/store.js'
import { storePromises } from '../../../testing/index.js'
export { again, newClaim, response } from '../../../testing/claims.js'

/** What every store promises. A few checks at a time: most of them wait for time to pass. */
export async function conformance (t: Test, name: string, store: IdempotencyStore): Promise<void> {
  await t.test(name, { jobs: 4 }, async (t) => {
    await Promise.all(storePromises.map(({ promise, check }) => t.test(promise, { buffered: true }, () => check(store))))
  })
}

/** The store with claims of another guarantee than those of the checks. */
export function withGuarantee (guarantee: Guarantee, store: IdempotencyStore): IdempotencyStore {
  return {
    ...store,
    claim: (claim) => store.claim({ ...claim, guarantee }),
    extend: (claims) => store.extend(claims.map((claim) => ({ ...claim, guarantee }))),
    complete: (claim, response) => store.complete({ ...claim, guarantee }, response),
    release: (claim) => store.release({ ...claim, guarantee })
  }
}
