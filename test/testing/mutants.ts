import type { Claim, StoredResponse } from '../../services/idempotency/record.js'
import type { IdempotencyStore } from '../../services/idempotency/store.js'

export type Mutate = (store: IdempotencyStore) => Partial<IdempotencyStore>

const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) })

/** The claim with the token of whoever holds the key: what a store does that does not compare. */
async function asHolder (store: IdempotencyStore, claim: Claim): Promise<Claim> {
  return { ...claim, token: (await store.get(claim.id))?.token ?? claim.token }
}

const keeping = (change: (response: StoredResponse) => StoredResponse): Mutate => (store) => ({
  complete: (claim, response) => store.complete(claim, response === null ? null : change(response))
})

const mangle = (decode: (bytes: Buffer) => string | Uint8Array): Mutate => keeping((response) => ({ ...response, body: decode(Buffer.from(response.body)) }))

/** Stores that break one promise each, beside waiting: that is in waiting-mutants.ts. */
export const mutants: Record<string, Mutate> = {
  'claim looks first and then writes': (store) => ({
    async claim (claim) {
      const found = await store.get(claim.id)
      await turn()
      const result = await store.claim(claim)
      return found === null ? { state: 'claimed', recovered: false } : result
    }
  }),
  'claim takes over what another took over a moment ago': (store) => ({
    async claim (claim) {
      const found = await store.get(claim.id)
      await turn()
      const result = await store.claim(claim)
      return found?.state === 'running' && found.leaseLeft === 0 && found.fingerprint === claim.fingerprint ? { state: 'claimed', recovered: true } : result
    }
  }),
  'claim refuses its own token': (store) => ({ claim: async (claim) => await store.get(claim.id) ?? await store.claim(claim) }),
  'claim takes over in half of the lease': (store) => ({ claim: (claim) => store.claim({ ...claim, lease: claim.lease / 2 }) }),
  'claim never takes over': (store) => ({ claim: (claim) => store.claim({ ...claim, lease: 1e9 }) }),
  'claim takes over another request': (store) => ({
    async claim (claim) {
      const found = await store.get(claim.id)
      return await store.claim(found?.state === 'running' && found.leaseLeft === 0 ? { ...claim, fingerprint: found.fingerprint } : claim)
    }
  }),
  'claim does not say that it took over': (store) => ({
    async claim (claim) {
      const result = await store.claim(claim)
      return result.state === 'claimed' ? { state: 'claimed', recovered: false } : result
    }
  }),
  'claim says of its repetition that it took over': (store) => ({
    async claim (claim) {
      const found = await store.get(claim.id)
      const result = await store.claim(claim)
      return result.state === 'claimed' ? { state: 'claimed', recovered: found !== null } : result
    }
  }),
  'claim loses the fingerprint': (store) => ({
    async claim (claim) {
      const result = await store.claim(claim)
      return result.state === 'claimed' ? result : { ...result, fingerprint: claim.fingerprint }
    }
  }),
  'finishing loses the fingerprint': (store) => ({
    async get (id) {
      const found = await store.get(id)
      return found === null || found.state === 'running' ? found : { ...found, fingerprint: '' }
    }
  }),
  'claim tells the lease, not what is left of it': (store) => ({
    async get (id) {
      const found = await store.get(id)
      return found?.state === 'running' ? { ...found, leaseLeft: 60_001 } : found
    }
  }),
  'keys that begin alike are one': (store) => ({ claim: (claim) => store.claim({ ...claim, id: 'a' }), get: () => store.get('a') }),

  'complete does not compare the token': (store) => ({ complete: async (claim, response) => await store.complete(await asHolder(store, claim), response) }),
  'complete says that it wrote when it did not': (store) => ({ complete: async (claim, response) => await store.complete(claim, response) || true }),
  'complete fails past the lease': (store) => ({
    async complete (claim, response) {
      const found = await store.get(claim.id)
      return !(found?.state === 'running' && found.leaseLeft === 0) && await store.complete(claim, response)
    }
  }),
  'a repeated completion fails': (store) => ({
    async complete (claim, response) {
      const found = await store.get(claim.id)
      return (found === null || found.state === 'running') && await store.complete(claim, response)
    }
  }),
  'a tombstone is a completed record': (store) => ({ complete: (claim, response) => store.complete(claim, response ?? { status: 200, headers: {}, body: '' }) }),
  'bodies are text': mangle((bytes) => bytes.toString()),
  'bodies lose their byte order mark': mangle((bytes) => bytes.toString('latin1').startsWith('\u00ef\u00bb\u00bf') ? bytes.subarray(3) : bytes),
  'bodies end at a NUL': mangle((bytes) => bytes.includes(0) ? bytes.subarray(0, bytes.indexOf(0)) : bytes),
  'bodies have one kind of line end': mangle((bytes) => Buffer.from(bytes.toString('latin1').replaceAll('\r\n', '\n'), 'latin1')),
  'bodies are latin1': keeping((response) => ({ ...response, body: typeof response.body === 'string' ? Buffer.from(response.body, 'latin1') : response.body })),
  'bodies are the whole buffer': keeping((response) => ({ ...response, body: typeof response.body === 'string' ? response.body : new Uint8Array(response.body.buffer) })),
  'no body is null': mangle((bytes) => bytes.length === 0 ? 'null' : bytes),
  'header arrays are joined': keeping((response) => ({ ...response, headers: Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, String(value)])) })),
  'the status is lost': keeping((response) => ({ ...response, status: 200 })),

  'release does not compare the token': (store) => ({ release: async (claim) => await store.release(await asHolder(store, claim)) }),
  'release says yes always': (store) => ({ release: async (claim) => await store.release(claim) || true }),
  'release keeps the key': (store) => ({ release: async (claim) => (await store.get(claim.id))?.token === claim.token }),

  'extend does not compare the token': (store) => ({ extend: async (claims) => await store.extend(await Promise.all(claims.map((claim) => asHolder(store, claim)))) }),
  'extend answers backwards': (store) => ({ extend: async (claims) => (await store.extend(claims)).reverse() }),
  'extend answers for those alone that it extended': (store) => ({ extend: async (claims) => (await store.extend(claims)).filter(Boolean) }),
  'extend extends the first alone': (store) => ({ extend: async (claims) => [...await store.extend(claims.slice(0, 1)), ...claims.slice(1).map(() => true)] }),
  'extend stops at 100': (store) => ({ extend: async (claims) => await store.extend(claims.slice(0, 100)) }),
  'extend extends nothing': (store) => ({ extend: async (claims) => await Promise.all(claims.map(async ({ id, token }) => (await store.get(id))?.token === token)) }),
  'extend cannot do with an empty list': (store) => ({ extend: async (claims) => claims.length === 0 ? await Promise.reject(new Error('syntax error')) : await store.extend(claims) }),
  'extend fails past the lease': (store) => ({
    extend: async (claims) => await Promise.all(claims.map(async (claim) => {
      const found = await store.get(claim.id)
      return found?.state === 'running' && found.leaseLeft > 0 && (await store.extend([claim]))[0] === true
    }))
  }),
  'extend revives a key that another attempt finished': (store) => reviving(store, (found, claim) => found.token !== claim.token),
  'extend revives a key that its own attempt finished': (store) => reviving(store, (found, claim) => found.token === claim.token),
  'extend leaves the end of the record where it was': (store) => {
    const ends = new Map<string, number>()
    const gone = (id: string): boolean => performance.now() > (ends.get(id) ?? Infinity)
    return {
      claim (claim) {
        ends.set(claim.id, ends.get(claim.id) ?? performance.now() + claim.retention)
        return store.claim(claim)
      },
      complete (claim, response) {
        ends.delete(claim.id)
        return store.complete(claim, response)
      },
      extend: async (claims) => (await store.extend(claims)).map((held, index) => held && !gone(claims[index]?.id ?? '')),
      get: async (id) => gone(id) ? null : await store.get(id)
    }
  },

  'retention starts with the claim': (store) => {
    const starts = new Map<string, number>()
    return {
      claim (claim) {
        starts.set(claim.token, performance.now())
        return store.claim(claim)
      },
      complete: (claim, response) => store.complete({ ...claim, retention: claim.retention - performance.now() + (starts.get(claim.token) ?? 0) }, response)
    }
  },
  'retention of a tombstone is the lease': (store) => ({ complete: (claim, response) => store.complete(response === null ? { ...claim, retention: claim.lease } : claim, response) }),
  'retention never ends': (store) => ({ complete: (claim, response) => store.complete({ ...claim, retention: 1e9 }, response) })
}

/** Extends finished records of some attempts without admitting it. */
function reviving (store: IdempotencyStore, which: (found: Claim | { token: string }, claim: Claim) => boolean): Partial<IdempotencyStore> {
  const revived = new Map<string, Claim>()
  const get: IdempotencyStore['get'] = async (id) => {
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
