import { EventEmitter } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { Claim } from '../../../services/idempotency/record.js'
import { createMemoryStore } from '../../../services/idempotency/stores/memory.js'
import { again, newClaim, response } from './conformance.js'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes that are still in use. */
function heapUsed (): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) })

await t.test('past the limit of records the oldest finished ones are dropped', async (t) => {
  const store = createMemoryStore({ maxRecords: 3 })
  const claims = Array.from({ length: 5 }, () => newClaim())
  for (const claim of claims) await store.claim(claim)
  for (const claim of [...claims].reverse()) await store.complete(claim, response)
  const found = await Promise.all(claims.map(async ({ id }) => await store.get(id) !== null))
  t.strictSame(found, [true, true, true, false, false])
})

await t.test('a claim that runs is neither dropped nor counted, however old', async (t) => {
  const store = createMemoryStore({ maxRecords: 2 })
  const running = Array.from({ length: 10 }, () => newClaim())
  for (const claim of running) await store.claim(claim)
  for (let times = 0; times < 10; times++) {
    const claim = newClaim()
    await store.claim(claim)
    await store.complete(claim, null)
    t.match(await store.get(claim.id), { state: 'tombstone' })
  }
  for (const claim of running) t.match(await store.claim(again(claim)), { state: 'running', token: claim.token })
})

await t.test('records that expire do not pile up, nor do claims that were never finished', async (t) => {
  let time = 0
  const store = createMemoryStore({ now: () => time, maxRecords: 1_000_000 })
  const before = heapUsed()
  const first = newClaim({ lease: 10, retention: 100 })
  for (; time < 300_000; time++) {
    const claim = { ...first, id: `${time}` } // random ones are the longest part of it
    await store.claim(claim)
    if (time % 3 > 0) await store.complete(claim, time % 3 === 1 ? response : null)
  }
  const grown = heapUsed() - before
  t.ok(grown < 10_000_000, `the heap has grown by ${grown} bytes`)
  t.match(await store.claim(newClaim()), { state: 'claimed' })
})

await t.test('a wait that is over leaves no listener, whether it ended or was aborted', async (t) => {
  const emitters = new Set<EventEmitter>()
  const { on } = EventEmitter.prototype
  const [ended, aborted, client] = [newClaim(), newClaim(), new AbortController()]
  t.capture(EventEmitter.prototype, 'on', function (this: EventEmitter, ...args: Parameters<EventEmitter['on']>) {
    if (args[0] === ended.id) emitters.add(this)
    return on.apply(this, args)
  })
  const store = createMemoryStore()
  for (const claim of [ended, aborted]) await store.claim(claim)
  const waits = [ended, aborted].map(({ id, token }) => store.waitFor(id, token, client.signal))
  await turn()
  const [changes] = emitters
  const during = changes?.eventNames()
  await store.complete(ended, response)
  client.abort(new Error('gone'))
  await Promise.allSettled(waits)
  await turn()
  t.strictSame([during, changes?.eventNames()], [[ended.id, aborted.id], []])
})

await t.test('a wait is woken by what becomes of the key, not by looking now and then', async (t) => {
  let time = 0
  const store = createMemoryStore({ now: () => time })
  const ends = {
    complete: (claim: Claim) => store.complete(claim, response),
    release: (claim: Claim) => store.release(claim),
    takeOver: (claim: Claim) => { time += claim.lease; return store.claim(again(claim)) }
  }
  for (const [name, end] of Object.entries(ends)) {
    const claim = newClaim()
    await store.claim(claim)
    let over = false
    const wait = store.waitFor(claim.id, claim.token, new AbortController().signal).then(() => { over = true })
    await turn()
    t.equal(over, false)
    await end(claim)
    await turn()
    t.equal(over, true, name)
    await wait
  }
})

await t.test('a limit that is not a positive integer is refused', (t) => {
  for (const maxRecords of [0, -1, 1.5, NaN]) t.throws(() => createMemoryStore({ maxRecords }), { name: 'TypeError', message: /maxRecords/ })
  t.end()
})
