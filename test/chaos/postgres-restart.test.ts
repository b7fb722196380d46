import { randomUUID } from 'node:crypto'
import t from 'tap'
import { statuses } from './duplicates.js'
import { loadOf } from './load.js'
import { inPostgres, setUp } from './setup.js'

await t.test('while Postgres dies and comes back under load no request fails, and every answer is in Postgres afterwards', async (t) => {
  const setup = await setUp(t, { postgres: 'own' })
  const { one, two, postgres, effects } = setup
  const load = loadOf(8, async (index) => {
    const key = randomUUID()
    return { key, answer: await (index % 2 === 0 ? one : two).post(key) }
  })
  await load.reach(100)
  for (let round = 0; round < 2; round++) {
    await postgres?.kill()
    await load.reach(load.results.length + 300)
    await postgres?.start()
    await load.reach(load.results.length + 100)
  }
  const sent = await load.stop()
  t.strictSame(statuses(sent.map(({ answer }) => answer)), [201])
  await inPostgres(setup, 'completed', sent.length)
  for (const { key, answer } of sent.slice(0, 50)) t.match(await two.post(key), { text: answer.text, replayed: true })
  t.strictSame(await effects.repeated(), [])
})

await t.test('what was answered while Postgres was away is replayed when Redis is empty after that', async (t) => {
  const setup = await setUp(t, { postgres: 'own' })
  const { one, two, redis, postgres, effects } = setup
  await one.post('before')
  await postgres?.kill()
  const { status, text } = await one.post('k')
  t.equal(status, 201)
  await postgres?.start()
  await inPostgres(setup, 'completed', 2)
  await redis.kill()
  await redis.start()
  for (const instance of [two, one]) t.match(await instance.post('k'), { status: 201, text, replayed: true })
  t.equal(await effects.count('k'), 1)
})
