import type { Claim, StoredRecord } from '../../../services/idempotency/record.js'
import type { IdempotencyStore } from '../../../services/idempotency/store.js'
import { extending, isPast } from './mutant.js'
import type { Mutants } from './mutant.js'

/** Extends finished records of some attempts without admitting it. */
const reviving = (which: (found: StoredRecord, claim: Claim) => boolean) => (store: IdempotencyStore): Partial<IdempotencyStore> => {
  const revived = new Map<string, Claim>()
  const get = async (id: string): Promise<StoredRecord | null> => {
    const claim = revived.get(id)
    return claim === undefined ? await store.get(id) : { state: 'running', fingerprint: claim.fingerprint, token: claim.token, leaseLeft: claim.lease }
  }
  return {
    get,
    claim: async (claim) => revived.has(claim.id) ? await get(claim.id) ?? await store.claim(claim) : await store.claim(claim),
    async extend (claims) {
      for (const claim of claims) {
        const found = await store.get(claim.id)
        if (found !== null && found.state !== 'running' && which(found, claim)) revived.set(claim.id, claim)
      }
      return await store.extend(claims)
    }
  }
}

/** Records of running claims end when they would have without the extension. */
const expiring = (store: IdempotencyStore): Partial<IdempotencyStore> => {
  const ends = new Map<string, number>()
  return {
    async claim (claim) {
      const end = ends.get(claim.id) ?? performance.now() + claim.retention
      ends.set(claim.id, end)
      return performance.now() > end ? { state: 'claimed', recovered: false } : await store.claim(claim)
    }
  }
}

export const extendingMutants: Mutants = {
  'extended claims have their whole leases again': {
    'extend extends nothing': extending((store) => async (claims) => await Promise.all(claims.map(async ({ id, token }) => (await store.get(id))?.token === token))),
    'extend extends the first alone': extending((store) => async (claims) => [...await store.extend(claims.slice(0, 1)), ...claims.slice(1).map(() => true)]),
    'extend adds the lease to what is left of it': extending((store) => (claims) => store.extend(claims.map((claim) => ({ ...claim, lease: claim.lease * 1.5 }))))
  },
  'an extended claim is held for longer than the retention counted from its beginning': { 'extend leaves the end of the record where it was': expiring },
  'a claim past its lease that nobody took over can be extended': {
    'extend fails past the lease': extending((store) => async (claims) =>
      await Promise.all(claims.map(async (claim) => !await isPast(store, claim) && (await store.extend([claim]))[0] === true)))
  },
  'extend answers for every claim in the order of its list': {
    'extend answers backwards': extending((store) => async (claims) => (await store.extend(claims)).reverse()),
    'extend answers in the order of the keys': extending((store) => (claims) => store.extend([...claims].sort((one, other) => one.id < other.id ? -1 : 1))),
    'extend answers for those alone that it extended': extending((store) => async (claims) => (await store.extend(claims)).filter(Boolean)),
    'extend stops at 100': extending((store) => (claims) => store.extend(claims.slice(0, 100))),
    'extend takes all or nothing': extending((store) => async (claims) => {
      const all = (await store.extend(claims)).every(Boolean)
      return claims.map(() => all)
    })
  },
  'an empty list of claims is extended to an empty list': {
    'extend fails on an empty list': extending((store) => async (claims) => claims.length === 0 ? await Promise.reject(new Error('syntax error')) : await store.extend(claims))
  },
  'an attempt cannot extend a key that another one holds or finished, among those that it can': {
    'extend revives a key that another attempt finished': reviving((found, claim) => found.token !== claim.token),
    'extend says yes always': extending((store) => async (claims) => (await store.extend(claims)).map(() => true))
  },
  'a finished record stays finished when a late extension of its own attempt arrives': {
    'extend revives what it finished': reviving((found, claim) => found.token === claim.token),
    'extend revives tombstones': reviving((found) => found.state === 'tombstone')
  }
}
