import t from 'tap'
import { duplicates } from './duplicates.js'
import { setUp } from './setup.js'

const lease = 1_000

await t.test('a handler that runs longer than maxExecution loses its key to another process', async (t) => {
  const { one, two, effects } = await setUp(t, { options: { lease, maxExecution: 2 * lease } })
  const begin = performance.now()
  const first = one.post('k', { hold: true })
  await effects.reach('k', 1)
  const winner = (await duplicates(two, 'k', ({ status }) => status !== 409)).pop()
  t.ok(performance.now() - begin >= 2 * lease)
  t.equal(winner?.status, 201)
  one.open('k')
  t.equal((await first).status, 201)
  t.match(await one.post('k'), { status: 201, text: winner?.text, replayed: true })
  t.equal(await effects.count('k'), 2)
})
