import t from 'tap'
import { createMemoryStore } from '../../services/idempotency/stores/memory.js'
import { storePromises } from '../../testing/index.js'
import { claimingMutants } from './mutants/claiming.js'
import { extendingMutants } from './mutants/extending.js'
import { finishingMutants } from './mutants/finishing.js'
import { abortingMutants, waitingMutants } from './mutants/waiting.js'

const mutants = { ...claimingMutants, ...finishingMutants, ...extendingMutants, ...waitingMutants, ...abortingMutants }

await t.test('there are broken stores for every promise', async (t) => {
  t.strictSame(storePromises.map(({ promise }) => promise).sort(), Object.keys(mutants).sort())
})

// One promise after the other: the last one counts timers of the process.
for (const { promise, check } of storePromises) {
  await t.test(`a store is caught that does not promise that ${promise}`, { jobs: 10 }, async (t) => {
    await t.resolves(check(createMemoryStore()), 'a store that does is not')
    await Promise.all(Object.entries(mutants[promise] ?? {}).map(([what, mutate]) => t.test(what, { buffered: true }, async (t) => {
      const store = createMemoryStore()
      await t.rejects(check({ ...store, ...mutate(store) }))
    })))
  })
}
