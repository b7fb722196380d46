import t from 'tap'
import { handedOver } from './handed-over.js'
import { setUp } from './setup.js'

const lease = 2_000

await t.test('a request in flight when Redis dies is handed over to Postgres: not run again, and replayed when it is done', async (t) => {
  const setup = await setUp(t, { options: { lease } })
  await handedOver(t, setup, lease, () => setup.redis.kill(), () => setup.redis.start())
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
