import t from 'tap'
import { contradictions, notOnce, randomRun, seeds, unanswered } from './random.js'
import { setUp } from './setup.js'

// The lease is shorter than the pauses, so that claims are taken over from processes that then go on.
await t.test('under random faults no transactional request commits twice, and no answer contradicts another', { timeout: 280_000 }, async (t) => {
  const setup = await setUp(t, { options: { lease: 150 }, routes: { '/work': { required: true, guarantee: 'transactional' } }, proxied: true, postgresTimeout: 500 })
  for (const seed of seeds) {
    const { history, faults } = await randomRun(setup, { seed, keys: 40, requests: 6, route: '/work' })
    t.comment(`seed ${seed}: ${faults.length} faults`)
    t.strictSame(contradictions(history), [], `seed ${seed}: no contradiction`)
    t.strictSame(unanswered(history), [], `seed ${seed}: every key is answered`)
    t.strictSame(await notOnce(history, setup.effects), [], `seed ${seed}: every key has one effect`)
    t.ok(setup.one.running() && setup.two.running(), `seed ${seed}: both processes live`)
  }
})
