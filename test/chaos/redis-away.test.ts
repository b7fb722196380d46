import t from 'tap'
import { after, duplicates, statuses } from './duplicates.js'
import { inPostgres, setUp } from './setup.js'

const lease = 2_000

await t.test('a request in flight when Redis dies is handed over to Postgres: not run again, and replayed when it is done', async (t) => {
  const setup = await setUp(t, { options: { lease } })
  const { one, two, redis, effects } = setup
  const first = one.post('k', { hold: true })
  await effects.reach('k', 1)
  await redis.kill()
  await inPostgres(setup, 'running')
  t.strictSame(statuses(await duplicates(two, 'k', after(2 * lease))), [409])
  one.open('k')
  const { status, text } = await first
  t.equal(status, 201)
  for (const instance of [two, one]) t.match(await instance.post('k'), { status: 201, text, replayed: true })

  await redis.start()
  const answers = await duplicates(two, 'k', after(lease))
  t.ok(answers.every((answer) => answer.text === text), 'and when Redis is back')
  t.equal(await effects.count('k'), 1)
})

await t.test('a request in flight when Redis dies is done before it was noticed: the answer is kept', async (t) => {
  const { one, two, redis, effects } = await setUp(t, { options: { lease } })
  const first = one.post('k', { hold: true })
  await effects.reach('k', 1)
  await redis.kill()
  one.open('k')
  const { status, text } = await first
  t.equal(status, 201)
  for (const instance of [two, one]) t.match(await instance.post('k'), { status: 201, text, replayed: true })
  t.equal(await effects.count('k'), 1)
})
