import t from 'tap'
import { until } from '../helper.js'
import { statuses } from './duplicates.js'
import { setUp } from './setup.js'

const flood = 1_000

await t.test('of 1,000 duplicates at once over two processes one runs, the others are told so', async (t) => {
  const { one, two, effects } = await setUp(t)
  const waiting = Array.from({ length: flood }, (_, index) => (index % 2 === 0 ? one : two).post('k', { hold: true }))
  let refused = 0
  for (const answer of waiting) answer.then(({ status }) => { if (status === 409) refused++ }, t.threw)
  try {
    await until('all but one are refused', () => refused === flood - 1, 15_000)
  } catch (error) {
    t.fail(`${refused} of ${flood} were refused, ${await effects.count('k')} ran: ${String(error)}`)
  }
  for (const instance of [one, two]) instance.open('k')
  const answers = await Promise.all(waiting)
  t.strictSame(statuses(answers), [201, 409])
  const ran = answers.filter(({ status }) => status === 201)
  t.equal(ran.length, 1)
  t.equal(await effects.count('k'), 1)
  for (const instance of [one, two]) t.match(await instance.post('k'), { status: 201, text: ran[0]?.text, replayed: true })
})
