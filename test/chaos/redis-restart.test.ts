import t from 'tap'
import { after, duplicates, statuses } from './duplicates.js'
import { setUp } from './setup.js'

const lease = 2_000

await t.test('a request in flight while Redis restarts empty is not run again by another process, and is replayed when it is done', async (t) => {
  const { one, two, redis, effects } = await setUp(t, { options: { lease } })
  const first = one.post('k', { hold: true })
  await effects.reach('k', 1)
  await redis.kill()
  await redis.start()
  t.strictSame(statuses(await duplicates(two, 'k', after(2 * lease))), [409])
  one.open('k')
  const { status, text } = await first
  t.equal(status, 201)
  for (const instance of [two, one]) t.match(await instance.post('k'), { status: 201, text, replayed: true })
  t.equal(await effects.count('k'), 1)
})

await t.test('a finished request is replayed by every process after Redis restarted empty', async (t) => {
  const { one, two, redis, effects } = await setUp(t, { options: { lease } })
  const { text } = await one.post('k')
  await redis.kill()
  await redis.start()
  const answers = [...await duplicates(two, 'k', after(lease)), ...await duplicates(one, 'k', after(100))]
  t.ok(answers.every((answer) => answer.status === 201 && answer.text === text && answer.replayed))
  t.equal(await effects.count('k'), 1)
})
