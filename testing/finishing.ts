import assert from 'node:assert/strict'
import type { StoredResponse } from '../services/idempotency/record.js'
import { again, misuse, newClaim, otherResponse, response } from './claims.js'
import { promise } from './promise.js'
import type { StorePromise } from './promise.js'
import { assertFinished, assertGranted, assertRunning, takenOver } from './records.js'

const everyByte = Uint8Array.from({ length: 512 }, (_, index) => index % 256)

/** What bodies are made of that get lost in stores: a byte order mark, a NUL, line ends, characters of 2 to 4 bytes, bytes that are no text, a part of a buffer. */
const bodies: Array<[what: string, body: StoredResponse['body']]> = [
  ['text', '\ufeffa\u0000b\r\nc\nü€😀"\\ '],
  ['no text', ''],
  ['bytes of every value', everyByte],
  ['a part of a buffer', everyByte.subarray(100, 200)],
  ['no bytes', new Uint8Array()]
]

const finishedWith = bodies.map(([what, body]) => promise(`a body of ${what} comes back byte for byte`, async (store) => {
  const [claim, kept] = [newClaim(), { status: 200, headers: {}, body }]
  await store.claim(claim)
  assert.equal(await store.complete(claim, kept), true)
  assertFinished(await store.claim(again(claim)), claim, kept)
  assertFinished(await store.get(claim.id), claim, kept)
}))

export const finishing: StorePromise[] = [
  promise('a finished record comes back with its status, its headers and the fingerprint of its request', async (store) => {
    const claim = newClaim()
    await store.claim(claim)
    assert.equal(await store.complete(claim, response), true)
    for (const found of [await store.get(claim.id), await store.claim(again(claim)), await store.claim(misuse(claim))]) assertFinished(found, claim, response)
  }),

  ...finishedWith,

  promise('a tombstone is kept without a response', async (store) => {
    const claim = newClaim()
    await store.claim(claim)
    assert.equal(await store.complete(claim, null), true)
    for (const found of [await store.get(claim.id), await store.claim(again(claim)), await store.claim(misuse(claim))]) assertFinished(found, claim, null)
  }),

  promise('a completion repeated with the same token succeeds, because its reply may have been lost', async (store) => {
    const claim = newClaim()
    await store.claim(claim)
    assert.equal(await store.complete(claim, response), true)
    assert.equal(await store.complete(claim, response), true)
    assertFinished(await store.get(claim.id), claim, response)
  }),

  promise('an attempt cannot finish a key that another one holds', async (store) => {
    const claim = newClaim()
    await store.claim(claim)
    assert.equal(await store.complete(again(claim), response), false)
    assert.equal(await store.complete(again(claim), null), false)
    assertRunning(await store.get(claim.id), claim)
  }),

  promise('an attempt cannot finish a key that another one finished', async (store, signal) => {
    const late = newClaim({ lease: 1 })
    await store.claim(late)
    const next = await takenOver(store, late, signal)
    assert.equal(await store.complete(next, otherResponse), true)
    assert.equal(await store.complete(late, response), false)
    assertFinished(await store.get(late.id), next, otherResponse)
  }),

  promise('a released key is free at once', async (store) => {
    const claim = newClaim()
    await store.claim(claim)
    assert.equal(await store.release(claim), true)
    assert.equal(await store.get(claim.id), null)
    assertGranted(await store.claim(misuse(claim)), false)
  }),

  promise('an attempt cannot release a key that another one holds, or nobody', async (store) => {
    const claim = newClaim()
    assert.equal(await store.release(claim), false)
    await store.claim(claim)
    assert.equal(await store.release(again(claim)), false)
    assertRunning(await store.get(claim.id), claim)
  }),

  promise('a finished record cannot be released', async (store) => {
    const claim = newClaim()
    await store.claim(claim)
    await store.complete(claim, response)
    assert.deepEqual([await store.release(claim), await store.release(again(claim))], [false, false])
    assertFinished(await store.get(claim.id), claim, response)
  })
]
