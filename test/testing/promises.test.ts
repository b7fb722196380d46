import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { createMemoryStore } from '../../services/idempotency/stores/memory.js'
import { storePromises } from '../../testing/index.js'
import type { StorePromise } from '../../testing/index.js'
import { claimingMutants } from './mutants/claiming.js'
import { extendingMutants } from './mutants/extending.js'
import { finishingMutants } from './mutants/finishing.js'
import { abortingMutants, waitingMutants } from './mutants/waiting.js'

const mutants = { ...claimingMutants, ...finishingMutants, ...extendingMutants, ...waitingMutants, ...abortingMutants }

await t.test('there are broken stores for every promise', async (t) => {
  t.strictSame(storePromises.map(({ promise }) => promise).sort(), Object.keys(mutants).sort())
})

const isCaught = ({ promise, check }: StorePromise): Promise<unknown> => t.test(`a store is caught that does not promise that ${promise}`, { jobs: 10, buffered: true }, async (t) => {
  await t.resolves(check(createMemoryStore()), 'a store that does is not')
  await Promise.all(Object.entries(mutants[promise] ?? {}).map(([what, mutate]) => t.test(what, { buffered: true }, async (t) => {
    const store = createMemoryStore()
    await t.rejects(check({ ...store, ...mutate(store) }))
  })))
})

const isPatient = (): Promise<unknown> => t.test('a store that was slow once is not blamed for the retention that passed meanwhile', { buffered: true }, async (t) => {
  const store = createMemoryStore()
  let slow = 2
  const claim: typeof store.claim = async (given) => {
    const result = await store.claim(given)
    if (slow-- > 0) await setTimeout(550) // the passing of time is the subject
    return result
  }
  const [retention] = storePromises.filter(({ promise }) => promise.startsWith('retention starts'))
  await t.resolves(async () => { await retention?.check({ ...store, claim }) })
  t.ok(slow < 0)
})

// Side by side, because checks wait for leases and retention to pass; but for the one that counts timers of the process.
const countsTimers = ({ promise }: StorePromise): boolean => promise.includes('timers')
t.jobs = 8
await Promise.all([isPatient(), ...storePromises.filter((promise) => !countsTimers(promise)).map(isCaught)])
for (const promise of storePromises.filter(countsTimers)) await isCaught(promise)
