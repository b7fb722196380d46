import t from 'tap'
import { after, duplicates, statuses } from './duplicates.js'
import { setUp } from './setup.js'

const lease = 1_000

await t.test('a handler that runs three times its lease keeps its key', async (t) => {
  const { one, two, effects } = await setUp(t, { options: { lease } })
  const first = one.post('k', { hold: true })
  await effects.reach('k', 1)
  const answers = await duplicates(two, 'k', after(3 * lease))
  t.strictSame(statuses(answers), [409])
  t.ok(answers.every(({ retryAfter }) => retryAfter === 1), 'a retry may find it within a lease')
  one.open('k')
  const { status, text } = await first
  t.equal(status, 201)
  t.match(await two.post('k'), { status: 201, text, replayed: true })
  t.equal(await effects.count('k'), 1)
  t.equal(one.aborted('k'), 0)
})
