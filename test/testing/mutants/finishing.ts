import type { IdempotencyStore } from '../../../services/idempotency/store.js'
import { asHolder, completing, keeping, releasing } from './mutant.js'
import type { Mutants, Mutate } from './mutant.js'

const mangle = (change: (bytes: Buffer) => string | Uint8Array): Mutate => keeping((response) => ({ ...response, body: change(Buffer.from(response.body)) }))

const lyingComplete = completing((store) => async (claim, response) => await store.complete(claim, response) || true)
const uncomparedComplete = completing((store) => async (claim, response) => await store.complete(await asHolder(store, claim), response))

const emptied = mangle((bytes) => bytes.length === 0 ? 'null' : bytes)

/** Finished records lose the fingerprint of their request. */
const unfingerprinted = (store: IdempotencyStore): Partial<IdempotencyStore> => ({
  async get (id) {
    const found = await store.get(id)
    return found === null || found.state === 'running' ? found : { ...found, fingerprint: '' }
  }
})

export const finishingMutants: Mutants = {
  'a finished record comes back with its status, its headers and the fingerprint of its request': {
    'header arrays are joined': keeping((response) => ({ ...response, headers: Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, String(value)])) })),
    'the status is lost': keeping((response) => ({ ...response, status: 200 })),
    'the headers are lost': keeping((response) => ({ ...response, headers: {} })),
    'the fingerprint is lost': unfingerprinted
  },
  'a body of text comes back byte for byte': {
    'the byte order mark is lost': mangle((bytes) => new TextDecoder().decode(bytes)),
    'it ends at a NUL': mangle((bytes) => bytes.includes(0) ? bytes.subarray(0, bytes.indexOf(0)) : bytes),
    'there is one kind of line end': mangle((bytes) => bytes.toString().replaceAll('\r\n', '\n')),
    'it is latin1': mangle((bytes) => Buffer.from(bytes.toString(), 'latin1')),
    'its ends are trimmed': mangle((bytes) => bytes.toString().trimEnd())
  },
  'a body of no text comes back byte for byte': { 'it is null': emptied },
  'a body of no bytes comes back byte for byte': { 'they are null': emptied },
  'a body of bytes of every value comes back byte for byte': { 'they are taken for UTF-8': mangle((bytes) => bytes.toString()) },
  'a body of a part of a buffer comes back byte for byte': {
    'it is the whole buffer': keeping(({ body, ...response }) => ({ ...response, body: typeof body === 'string' ? body : new Uint8Array(body.buffer) }))
  },
  'a tombstone is kept without a response': {
    'it is a completed record': completing((store) => (claim, response) => store.complete(claim, response ?? { status: 200, headers: {}, body: '' })),
    'the fingerprint is lost': unfingerprinted
  },
  'a completion repeated with the same token succeeds, because its reply may have been lost': {
    'complete demands a running record': completing((store) => async (claim, response) => (await store.get(claim.id))?.state === 'running' && await store.complete(claim, response))
  },
  'an attempt cannot finish a key that another one holds': {
    'complete does not compare the token': uncomparedComplete,
    'complete says that it wrote when it did not': lyingComplete
  },
  'an attempt cannot finish a key that another one finished': {
    'complete does not compare the token': uncomparedComplete,
    'complete says that it wrote when it did not': lyingComplete
  },
  'a released key is free at once': { 'release keeps the key': releasing((store) => async (claim) => (await store.get(claim.id))?.token === claim.token) },
  'an attempt cannot release a key that another one holds, or nobody': {
    'release does not compare the token': releasing((store) => async (claim) => await store.release(await asHolder(store, claim))),
    'release says yes always': releasing((store) => async (claim) => await store.release(claim) || true)
  },
  'a finished record cannot be released': {
    'release does not look at the state': (store) => {
      const released = new Set<string>()
      return {
        async release (claim) {
          released.add(claim.id)
          return await store.release(claim)
        },
        get: async (id) => released.has(id) ? null : await store.get(id)
      }
    }
  },

  'retention starts when the record is finished': {
    'it starts with the claim': (store) => {
      const starts = new Map<string, number>()
      return {
        claim (claim) {
          starts.set(claim.token, performance.now())
          return store.claim(claim)
        },
        complete: (claim, response) => store.complete({ ...claim, retention: claim.retention - performance.now() + (starts.get(claim.token) ?? 0) }, response)
      }
    },
    'a tombstone is kept for the lease': completing((store) => (claim, response) => store.complete(response === null ? { ...claim, retention: claim.lease } : claim, response))
  },
  'a record past its retention is gone, for another request too': {
    'it never ends': completing((store) => (claim, response) => store.complete({ ...claim, retention: 1e9 }, response)),
    'that of a tombstone never ends': completing((store) => (claim, response) => store.complete({ ...claim, retention: response === null ? 1e9 : claim.retention }, response))
  }
}
