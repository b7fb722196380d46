import t from 'tap'
import { statuses } from './duplicates.js'
import { setUp } from './setup.js'

await t.test('of 1,000 duplicates at once that wait, over two processes, one runs and all get its bytes', async (t) => {
  const { one, two, effects } = await setUp(t, { options: { onConcurrent: 'wait', maxWaiters: 2_000, maxWaitersPerKey: 2_000 } })
  const waiting = Array.from({ length: 1_000 }, (_, index) => (index % 2 === 0 ? one : two).post('k', { hold: true }))
  await effects.reach('k', 1)
  for (const instance of [one, two]) instance.open('k')
  const answers = await Promise.all(waiting)
  t.strictSame(statuses(answers), [201])
  t.equal(new Set(answers.map(({ text }) => text)).size, 1)
  t.equal(await effects.count('k'), 1)
})

await t.test('duplicates that wait for a process which dies are answered by the one that takes over', async (t) => {
  const { one, two, effects } = await setUp(t, { options: { lease: 1_000, onConcurrent: 'wait', afterCrash: 'retry' } })
  const first = one.post('k', { hold: true })
  await effects.reach('k', 1)
  const waiting = Array.from({ length: 20 }, () => two.post('k'))
  await one.kill()
  t.equal((await first).status, 0)
  const answers = await Promise.all(waiting)
  t.strictSame(statuses(answers), [201])
  t.equal(new Set(answers.map(({ text }) => text)).size, 1)
  t.equal(await effects.count('k'), 2)
})
