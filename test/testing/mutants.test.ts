import t from 'tap'
import { createMemoryStore } from '../../services/idempotency/stores/memory.js'
import type { IdempotencyStore } from '../../services/idempotency/store.js'
import { storePromises } from '../../testing/index.js'
import { mutants } from './mutants.js'
import { waitingMutants } from './waiting-mutants.js'

/** Those that the store breaks. */
async function broken (store: IdempotencyStore): Promise<string[]> {
  const outcomes = await Promise.allSettled(storePromises.map(({ check }) => check(store)))
  return storePromises.filter((_, index) => outcomes[index]?.status === 'rejected').map(({ promise }) => promise)
}

const caught = new Set<string>()

await t.test('a store that breaks a promise is caught', { jobs: 20 }, async (t) => {
  await Promise.all(Object.entries({ ...mutants, ...waitingMutants }).map(([name, mutate]) => t.test(name, { buffered: true }, async (t) => {
    const store = createMemoryStore()
    const promises = await broken({ ...store, ...mutate(store) })
    for (const promise of promises) t.comment(promise)
    for (const promise of promises) caught.add(promise)
    t.not(promises.length, 0)
  })))
})

await t.test('every check has caught one, and passes a store that keeps its promises', async (t) => {
  t.same(await broken(createMemoryStore()), [])
  t.same(storePromises.map(({ promise }) => promise).filter((promise) => !caught.has(promise)), [])
})
