import { asHolder, claiming, completing, isPast, releasing, turn } from './mutant.js'
import type { Mutants } from './mutant.js'

export const claimingMutants: Mutants = {
  'of 100 concurrent claims exactly one is granted, and the others see it run': {
    'claim looks first and then writes': claiming((store) => async (claim) => {
      const found = await store.get(claim.id)
      await turn()
      const result = await store.claim(claim)
      return found === null ? { state: 'claimed', recovered: false } : result
    }),
    'claim answers with the token of the asker': claiming((store) => async (claim) => ({ ...await store.claim(claim), token: claim.token }))
  },
  'a claim is not granted again while it runs, neither to the same request nor to another': {
    'claim loses the fingerprint': claiming((store) => async (claim) => {
      const result = await store.claim(claim)
      return result.state === 'claimed' ? result : { ...result, fingerprint: claim.fingerprint }
    }),
    'claim gives a key that is held to another request': claiming((store) => async (claim) => {
      const found = await store.get(claim.id)
      return found !== null && found.fingerprint !== claim.fingerprint ? { state: 'claimed', recovered: false } : await store.claim(claim)
    })
  },
  'a running claim tells what is left of its lease': {
    'a running claim tells nothing of its lease': (store) => ({
      async get (id) {
        const found = await store.get(id)
        return found?.state === 'running' ? { ...found, leaseLeft: 0 } : found
      }
    }),
    'a running claim tells its retention': claiming((store) => async (claim) => {
      const found = await store.claim(claim)
      return found.state === 'running' ? { ...found, leaseLeft: claim.retention } : found
    })
  },
  'a claim repeated with the same token is granted again, because its reply may have been lost': {
    'claim refuses its own token': claiming((store) => async (claim) => await store.get(claim.id) ?? await store.claim(claim)),
    'claim says of its repetition that it took over': claiming((store) => async (claim) => {
      const found = await store.get(claim.id)
      const result = await store.claim(claim)
      return result.state === 'claimed' ? { state: 'claimed', recovered: found !== null } : result
    })
  },
  'a key that nobody claimed has no record': {
    'get makes up a tombstone': (store) => ({ get: async (id) => await store.get(id) ?? { state: 'tombstone', fingerprint: '', token: '' } })
  },
  'keys do not concern each other': {
    'all keys are one': (store) => ({ claim: (claim) => store.claim({ ...claim, id: 'a' }), complete: (claim, response) => store.complete({ ...claim, id: 'a' }, response), get: () => store.get('a') })
  },

  'a claim is taken over when its lease is past, and not before': {
    'claim takes over in half of the lease': claiming((store) => (claim) => store.claim({ ...claim, lease: claim.lease / 2 })),
    'claim never takes over': claiming((store) => (claim) => store.claim({ ...claim, lease: 1e9 })),
    'claim does not say that it took over': claiming((store) => async (claim) => {
      const result = await store.claim(claim)
      return result.state === 'claimed' ? { state: 'claimed', recovered: false } : result
    })
  },
  'of 100 concurrent claims past the lease exactly one is granted': {
    'claim looks first and then takes over': claiming((store) => async (claim) => {
      const past = await isPast(store, claim)
      await turn()
      const result = await store.claim(claim)
      return past ? { state: 'claimed', recovered: true } : result
    })
  },
  'an attempt that was taken over writes nothing any more': {
    'complete does not compare the token': completing((store) => async (claim, response) => await store.complete(await asHolder(store, claim), response)),
    'release does not compare the token': releasing((store) => async (claim) => await store.release(await asHolder(store, claim))),
    'extend does not compare the token': (store) => ({ extend: async (claims) => await store.extend(await Promise.all(claims.map((claim) => asHolder(store, claim)))) })
  },
  'a claim past its lease is not taken over by another request': {
    'claim takes over another request': claiming((store) => async (claim) => {
      const found = await store.get(claim.id)
      return await store.claim(found?.state === 'running' && found.leaseLeft === 0 ? { ...claim, fingerprint: found.fingerprint } : claim)
    })
  },
  'a claim past its lease that nobody took over can be finished': {
    'complete fails past the lease': completing((store) => async (claim, response) => !await isPast(store, claim) && await store.complete(claim, response))
  }
}
