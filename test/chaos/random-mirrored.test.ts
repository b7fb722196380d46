import t from 'tap'
import { contradictions, notOnce, randomRun, seeds, unanswered } from './random.js'
import { setUp } from './setup.js'

// What may happen here is at least once: the figures are printed, not judged. Every key has to come to an end, and no process may die.
await t.test('under random faults every mirrored request is answered in the end, and few run twice', { timeout: 280_000 }, async (t) => {
  const setup = await setUp(t, { options: { lease: 1_000 }, routes: { '/work': { onStoreFailure: 'reject' } }, proxied: true, postgresTimeout: 500 })
  for (const seed of seeds) {
    const { history, faults } = await randomRun(setup, { seed, keys: 40, requests: 6, route: '/work' })
    const notOne = await notOnce(history, setup.effects)
    t.comment(`seed ${seed}: ${faults.length} faults; ${notOne.length} of 40 keys ran twice or more, ${contradictions(history).length} with contradicting answers`)
    t.strictSame(unanswered(history), [], `seed ${seed}: every key is answered`)
    t.ok(setup.one.running() && setup.two.running(), `seed ${seed}: both processes live`)
  }
})
