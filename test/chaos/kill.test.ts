import t from 'tap'
import { duplicates, statuses } from './duplicates.js'
import { setUp } from './setup.js'

const lease = 3_000

await t.test('when a process dies in a handler, the key answers 409 until the lease is over, then another process runs it once', async (t) => {
  const { one, two, effects } = await setUp(t, { options: { lease } })
  const begin = performance.now()
  const first = one.post('k', { hold: true })
  await effects.reach('k', 1)
  await one.kill()
  t.equal((await first).status, 0)

  const answers = await duplicates(two, 'k', ({ status }) => status !== 409)
  const last = answers.pop()
  t.ok(performance.now() - begin >= lease, 'not before the lease is over')
  t.ok(answers.length > 10)
  t.strictSame(statuses(answers), [409])
  t.ok(answers.every(({ retryAfter }) => retryAfter !== null && retryAfter >= 1))
  t.match(last, { status: 201, protection: 'created' })
  t.equal(await effects.count('k'), 2)
  t.match(await two.post('k'), { status: 201, text: last?.text, replayed: true })
})

await t.test('of many retries after such a death one runs', async (t) => {
  const { one, two, effects } = await setUp(t, { options: { lease } })
  const first = one.post('k', { hold: true })
  await effects.reach('k', 1)
  await one.kill()
  await first
  const runs = await Promise.all(Array.from({ length: 50 }, () => duplicates(two, 'k', ({ status }) => status !== 409, { work: 50 })))
  t.strictSame(statuses(runs.map((answers) => answers[answers.length - 1]).filter((answer) => answer !== undefined)), [201])
  t.equal(await effects.count('k'), 2)
})
